"""What a pick costs on the hot path, in CPU time: the prompt's hashes and the choice, apart."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING

from mixserve.api.observation import EngineSample
from mixserve.route.picking.affinity import Affinity, affinity_of
from mixserve.route.picking.endpoint import Endpoint
from mixserve.route.picking.picker import PrefixAwarePicker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_CALLS, _ROUNDS = 2000, 7


def _us_per_call(call: Callable[[Affinity], object], arguments: Sequence[Affinity]) -> float:
    """Median of the rounds, CPU time."""
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for argument in arguments:
            call(argument)
        rounds.append(time.process_time() - begun)
    return 1e6 * statistics.median(rounds) / len(arguments)


def _picker(engines: int) -> PrefixAwarePicker:
    rng, picker = random.Random(1), PrefixAwarePicker()  # noqa: S311 - a workload, not a secret
    picker.update(
        [
            Endpoint(
                address=f"10.0.{number // 250}.{number % 250}:8000",
                sample=EngineSample(scraped_at_s=0.0, running=rng.randrange(60), waiting=0, kv_cache_usage=0.5),
                adapters=frozenset({"a"} if number % 4 == 0 else ()),
            )
            for number in range(engines)
        ],
        now_s=0.0,
    )
    return picker


def _affinities(size: int, **words: str) -> list[Affinity]:
    """Of prompts in 100 groups, whose last half is their own."""
    rng = random.Random(2)  # noqa: S311 - a workload, not a secret
    groups = [rng.randbytes(size // 2) for _ in range(100)]
    return [affinity_of(rng.choice(groups) + rng.randbytes(size // 2), pool="a/b", **words) for _ in range(_CALLS)]


def cost_lines() -> Iterator[str]:
    """A line for each prompt length and each number of endpoints."""
    yield f"\nCPU time per request in us, medians of {_ROUNDS} rounds"
    for size in (1_000, 10_000, 64_000, 200_000, 10_000_000):
        prompt = random.Random(3).randbytes(size)  # noqa: S311 - a workload, not a secret
        cost_us = _us_per_call(lambda _, text=prompt: affinity_of(text, pool="a/b"), [Affinity()] * _CALLS)
        yield f"hashes of a prompt of {size:>10,} bytes: {cost_us:6.1f}"
    for engines in (16, 200):
        for name, affinities in {
            "1 KB prompts": _affinities(1_000),
            "10 KB prompts": _affinities(10_000),
            "64 KB prompts": _affinities(64_000),
            "sessions": _affinities(1_000, session="s"),
            "an adapter that a quarter hold": _affinities(1_000, adapter="a"),
            "nothing to go by": [Affinity()] * _CALLS,
        }.items():
            yield f"pick among {engines:3}, {name:30}: {_us_per_call(_picker(engines).pick, affinities):6.1f}"
