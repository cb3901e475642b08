"""`make bench-gateway`: what the gateway costs beside no proxy, Envoy alone and LiteLLM."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import arms
import uvloop
from load import Load
from measuring import Measuring
from report import Report

if TYPE_CHECKING:
    from arms import Arm
    from measuring import Sample

_KINDS = ("plain", "streamed")


async def _run(
    chosen: list[Arm], loads: list[Load], arguments: argparse.Namespace
) -> tuple[list[list[Sample]], dict[str, list[float]]]:
    measuring = Measuring(chosen)
    _say("warming up")
    await measuring.warm_up(list({load.stream: load for load in reversed(loads)}.values()))
    await measuring.rest()
    repetitions = []
    for number in range(1, arguments.repetitions + 1):
        samples = []
        for load in loads:
            began_s = time.monotonic()
            seconds = arguments.seconds * (2 if load.stream else 1)
            samples += [await measuring.measure(arm, load, seconds=seconds) for arm in chosen]
            _say(f"{number} of {arguments.repetitions}: {load}, {time.monotonic() - began_s:.1f} s")
        repetitions.append(samples)
    await measuring.finish()
    return repetitions, measuring.idle


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _loads(arguments: argparse.Namespace) -> list[Load]:
    combinations = product(arguments.kinds, arguments.kilobytes, arguments.connections)
    return [Load(size * 1000, kind == "streamed", connections) for kind, size, connections in combinations]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=arms.NAMES, default=arms.NAMES)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each load of plain requests; streams: twice")
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=_KINDS)
    parser.add_argument("--kilobytes", nargs="+", type=int, default=(1, 10, 200))
    parser.add_argument("--connections", nargs="+", type=int, default=(1, 16, 64))
    parser.add_argument("--output", type=Path, default=Path("out/bench-gateway.json"))
    return parser.parse_args()


def _write(path: Path, report: Report, repetitions: list[list[Sample]]) -> None:
    rows = [
        {
            "repetition": number,
            "arm": sample.arm,
            "load": str(sample.load),
            "requests": len(sample.outcome.latencies),
            "per_second": sample.per_second,
            "cpu_ms": sample.cpu_ms,
        }
        for number, samples in enumerate(repetitions, start=1)
        for sample in samples
    ]
    goals = [{"name": goal.name, "value": goal.value, "goal": goal.wanted, "met": goal.met} for goal in report.goals()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"goals": goals, "samples": rows}, indent=1))


def main() -> int:
    """Run, print the tables with the goals, write the figures; 1 if a goal is missed."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as directory, arms.running(arguments.arms, Path(directory)) as chosen:
        repetitions, idle = uvloop.run(_run(chosen, _loads(arguments), arguments))
    report = Report(repetitions)
    print(*report.tables(), sep="\n")
    print("\nCPU ms per second of each process when nothing is sent:")
    print(
        *(f"  {name:12} {' + '.join(f'{1000 * each:.1f}' for each in cost) or '-'}" for name, cost in idle.items()),
        sep="\n",
    )
    goals = list(report.goals())
    print("", *goals, sep="\n")
    _write(arguments.output, report, repetitions)
    return int(not all(goal.met for goal in goals))


if __name__ == "__main__":
    sys.exit(main())
