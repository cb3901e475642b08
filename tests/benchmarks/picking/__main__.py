"""Which engine gets which request: prefix-cache hits and time to first token under each policy, on simulated engines.

make bench-picking                                  # BENCH_ARGS="--sections policies --workloads chats --repetitions 1"
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from candidates import LeastLoaded, PrefixIndex
from cost import cost_lines
from fleet import ADDRESSES, Fleet, Policy, Setting
from policies import LeastLoad, LeastRequest, PrefixAware, RoundRobin
from workloads import Workload, chats, shared_prompts, unshared

from mixserve.route.picking.picker import PrefixAwarePicker
from mixserve.route.picking.tuning import TUNING, LoadBound, Tuning
from mixserve_devcluster.demo.workload import generated_lengths, trace_lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workloads import Conversation

    Policies = Mapping[str, Callable[[int], Policy]]

_DURATION_S, _WARM_UP_S = 180.0, 45.0
_SECTIONS = ("policies", "sweep", "staleness", "cost")


def _workloads(trace: Path | None) -> list[Workload]:
    """Rates are such that round robin has queues now and then: a TTFT p95 of 2 to 6 times an idle engine's."""
    until_s = _DURATION_S
    lengths = trace_lengths(trace) if trace else generated_lengths(1)
    return [
        Workload(
            "many",
            "200 system prompts (2000 tokens, Zipf 0.9), which no engine can hold all of",
            shared_prompts(groups=200, zipf=0.9, system_tokens=2000, per_s=15, until_s=until_s),
        ),
        Workload(
            "nested",
            "the same with 300 tokens in front that all have alike",
            shared_prompts(head_tokens=300, groups=200, zipf=0.9, system_tokens=1800, per_s=15, until_s=until_s),
        ),
        Workload(
            "few",
            "12 system prompts (2000 tokens), which every engine can hold",
            shared_prompts(groups=12, zipf=1.0, system_tokens=2000, per_s=26, until_s=until_s),
        ),
        Workload(
            "chats",
            "chats of 6 turns under 20 system prompts (400 tokens)",
            chats(groups=20, system_tokens=400, turns=6, pause_s=8, per_s=3.2, until_s=until_s),
        ),
        Workload(
            "one chat app",
            "chats of 6 turns under one system prompt",
            chats(groups=1, system_tokens=400, turns=6, pause_s=8, per_s=3.2, until_s=until_s),
        ),
        Workload("skewed", "lengths of the trace, nothing shared", unshared(lengths, per_s=12.5, until_s=until_s)),
    ]


def _policies(engines: int) -> Policies:
    addresses = ADDRESSES[:engines]
    return {
        "round robin": partial(RoundRobin, addresses),
        "least request (Envoy alone)": partial(LeastRequest, addresses),
        "LeastLoad": partial(LeastLoad, addresses),
        "PrefixAware": lambda _: PrefixAware(),
        "PrefixAware, sessions named": lambda _: PrefixAware(sessions=True),
        "its load alone, no affinity": LeastLoaded,
        "index, llm-d's 2/2/3": PrefixIndex,
    }


def _tuned(tuning: Tuning) -> Callable[[int], Policy]:
    return lambda _: PrefixAware(picker=PrefixAwarePicker(tuning))


def _sweep() -> Policies:
    bounds = {
        f"bounds {kept:g} + {slack:g}, new {new:g} + {new_slack:g}": replace(
            TUNING, kept_bound=LoadBound(times=kept, slack=slack), new_bound=LoadBound(times=new, slack=new_slack)
        )
        for kept, slack, new, new_slack in (
            (1.1, 0.5, 1.1, 0.5),
            (1.25, 1, 1.25, 1),
            (1.5, 1, 1.5, 1),
            (1.5, 1, 1, 0),
            (2, 2, 2, 2),
        )
    }
    shares = {
        "key: the first 256 bytes": replace(TUNING, largest_share=math.inf),
        "the same with bounds 2 + 2": replace(
            TUNING,
            largest_share=math.inf,
            kept_bound=LoadBound(times=2, slack=2),
            new_bound=LoadBound(times=2, slack=2),
        ),
        **{f"largest share of a key {share:g}": replace(TUNING, largest_share=share) for share in (0.25, 1, 2)},
    }
    loads = {
        "running counts 0.1": replace(TUNING, running_weight=0.1),
        "running counts 1": replace(TUNING, running_weight=1.0),
        "picks forgotten at the next sample": replace(TUNING, samples_kept=1),
        "picks count alike": replace(TUNING, length_share=0.0),
    }
    variants = {"as it is": TUNING, **bounds, **shares, **loads}
    return {name: _tuned(tuning) for name, tuning in variants.items()}


class Table:
    """Runs policies over workloads, in turns over the seeds, and prints a line of medians for each policy."""

    def __init__(self, workloads: Sequence[Workload], repetitions: int) -> None:
        self._workloads = workloads
        self._conversations: dict[tuple[str, int], list[Conversation]] = {
            (workload.name, seed): workload.make(seed) for workload in workloads for seed in range(repetitions)
        }
        self._seeds = range(repetitions)

    def print(self, title: str, policies: Policies, setting: Setting) -> None:
        print(
            f"\n{title}: {setting.engines} engines, {setting.replicas} replica(s), scrapes every {setting.scrape_s:g} s"
        )
        print(f"| {'hits, TTFT p50 / p95 in s':36} |", *(f"{workload.name:^19} |" for workload in self._workloads))
        print(f"|{'-' * 38}|", *(f"{'-' * 19} |" for _ in self._workloads))
        for name, policy in policies.items():
            cells = [self._cell(workload, policy, setting) for workload in self._workloads]
            print(f"| {name:36} |", *(f"{cell:>19} |" for cell in cells), flush=True)

    def _cell(self, workload: Workload, policy: Callable[[int], Policy], setting: Setting) -> str:
        found = []
        for seed in self._seeds:
            outcome = Fleet(setting, policy, seed).run(self._conversations[workload.name, seed], warm_up_s=_WARM_UP_S)
            found.append((outcome.hit_share, outcome.ttft_quantile_s(0.5), outcome.ttft_quantile_s(0.95)))
        hits, p50_s, p95_s = (statistics.median(values) for values in zip(*found, strict=True))
        return f"{100 * hits:3.0f} %  {p50_s:.2f} / {p95_s:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", type=Path, help="CSV of lengths; generated ones without it")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--sections", nargs="*", choices=_SECTIONS, default=_SECTIONS)
    parser.add_argument("--workloads", nargs="*", help="names; all by default")
    return parser.parse_args()


def main() -> int:
    """Print the tables that were asked for."""
    arguments = _arguments()
    workloads = _workloads(arguments.trace)
    chosen = [workload for workload in workloads if not arguments.workloads or workload.name in arguments.workloads]
    print("Simulated engines, an 8B model in 4 bits on an L4; medians of", arguments.repetitions, "seeds.")
    print("Lengths of skewed:", arguments.trace.name if arguments.trace else "generated, like Azure's trace of 2023")
    print(*(f"{workload.name}: {workload.about}" for workload in chosen), sep="\n")
    table, setting = Table(chosen, arguments.repetitions), Setting()
    if "policies" in arguments.sections:
        table.print("Policies", _policies(setting.engines), setting)
    if "sweep" in arguments.sections:
        table.print("Sweep of PrefixAware", _sweep(), setting)
    if "staleness" in arguments.sections:
        for other in (replace(setting, replicas=1), replace(setting, scrape_s=1.0)):
            policies = _policies(other.engines)
            table.print("Staleness", {name: policies[name] for name in list(policies)[1:4]}, other)
    if "cost" in arguments.sections:
        print(*cost_lines(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
