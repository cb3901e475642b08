"""How long `mixserve plan` takes for many pools, its start included: wall clock and CPU of the process, medians.

make bench-plan                                    # BENCH_ARGS="--pools 1000 --repetitions 3"
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

GOAL_WALL_S = 2.0
"""For 100 pools."""
GOAL_POOLS = 100

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "mixed-precision" / "pool.yaml"


class Cost(NamedTuple):
    wall_s: float
    cpu_s: float


def write_pools(folder: Path, count: int) -> None:
    """Copies of an example with two variants, one file each: every fifth does not fit, every tenth has no numbers."""
    for number in range(count):
        pool = yaml.safe_load(EXAMPLE.read_text())
        pool["metadata"]["name"] = pool["spec"]["servedNames"][0] = f"pool-{number}"
        if number % 5 == 0:
            pool["spec"]["engine"]["maxModelLen"] = 10**6
        if number % 10 == 1:
            del pool["spec"]["model"]["facts"]
        (folder / f"pool-{number}.yaml").write_text(yaml.safe_dump(pool, sort_keys=False))


def measure(*arguments: str) -> Cost:
    """One process; an exit code of 1 means violations, which some pools have."""
    command = [str(Path(sys.executable).with_name("mixserve")), *arguments]
    before, began_s = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    wall_s, after = time.monotonic() - began_s, os.times()
    assert done.returncode in {0, 1}, done.returncode
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall_s, cpu_s)


def report(name: str, costs: list[Cost]) -> None:
    wall_s, cpu_s = (statistics.median(values) for values in zip(*costs, strict=True))
    print(f"{name:<50} {wall_s:8.2f} s wall {cpu_s:8.2f} s CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=GOAL_POOLS)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_pools(Path(folder), options.pools)
        arguments = {
            "start alone: mixserve plan --help": ["plan", "--help"],
            f"{options.pools} pools, table": ["plan", "--offline", "-f", folder],
            f"{options.pools} pools, JSON, rate and API price": [
                *("plan", "--offline", "-f", folder, "-o", "json", "--rate", "5", "--api-price", "0.15,0.60")
            ],
        }
        # In turns, so that what else the machine does falls on all of them.
        found: dict[str, list[Cost]] = {name: [] for name in arguments}
        for _ in range(options.repetitions):
            for name, words in arguments.items():
                found[name].append(measure(*words))
    for name, costs in found.items():
        report(name, costs)
    print(f"medians of {options.repetitions}; the goal is {GOAL_WALL_S:.0f} s wall for {GOAL_POOLS} pools")


if __name__ == "__main__":
    main()
