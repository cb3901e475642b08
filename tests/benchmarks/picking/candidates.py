"""Ways of picking that were tried and are not the product's, kept so that the table can be made again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mixserve.route.picking.affinity import BLOCK_ENDS, affinity_of
from mixserve.route.picking.load import Loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workloads import Turn

    from mixserve.api.observation import EngineSample
    from mixserve.route.picking.endpoint import Endpoint

_KEPT_S = 60.0


class LeastLoaded:
    """The endpoint with the least load as the product reckons it: what `PrefixAware` does without any affinity."""

    def __init__(self, replica: int) -> None:
        self._rng = random.Random(replica)  # noqa: S311 - a workload, not a secret
        self._loads = Loads()
        self._addresses: list[str] = []

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        self._loads.update(endpoints, now_s=now_s)
        self._addresses = [endpoint.address for endpoint in endpoints]

    def choose(self, turn: Turn, session: str) -> str:
        least = min(self._loads.requests)
        chosen = self._rng.choice([place for place, load in enumerate(self._loads.requests) if load == least])
        self._loads.add(chosen, prompt_length=len(turn.prompt))
        return self._addresses[chosen]

    def ended(self, address: str) -> None:
        pass


class PrefixIndex:
    """An index of what was sent where, and the score that llm-d takes by default: queue 2, KV cache 2, prefix 3.

    Blocks are kept for half a minute to a minute, as bits of the endpoints that got them.
    """

    def __init__(self, replica: int) -> None:
        self._rng = random.Random(replica)  # noqa: S311 - a workload, not a secret
        self._samples: list[EngineSample] = []
        self._addresses: list[str] = []
        self._newest: dict[int, int] = {}
        self._older: dict[int, int] = {}
        self._begun_s = 0.0

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        self._addresses = [endpoint.address for endpoint in endpoints]
        self._samples = [sample for endpoint in endpoints if (sample := endpoint.fresh_sample(now_s)) is not None]
        if now_s - self._begun_s > _KEPT_S / 2:
            self._older, self._newest, self._begun_s = self._newest, {}, now_s

    def choose(self, turn: Turn, session: str) -> str:
        blocks = affinity_of(turn.prompt, pool="llm/bench").blocks
        shares = self._matched(blocks, len(turn.prompt))
        waiting = [sample.waiting for sample in self._samples]
        least, most = min(waiting), max(waiting)
        scores = [
            2 * ((most - sample.waiting) / (most - least) if most > least else 1.0)
            + 2 * (1 - sample.kv_cache_usage)
            + 3 * share
            for sample, share in zip(self._samples, shares, strict=True)
        ]
        best = max(scores)
        chosen = self._rng.choice([place for place, score in enumerate(scores) if score == best])
        for block in blocks:
            self._newest[block] = self._newest.get(block, 0) | 1 << chosen
        return self._addresses[chosen]

    def _matched(self, blocks: Sequence[int], length: int) -> list[float]:
        """The share of the prompt that each endpoint got before."""
        return [
            max(
                (
                    end / length
                    for block, end in zip(blocks, BLOCK_ENDS, strict=False)
                    if (self._newest.get(block, 0) | self._older.get(block, 0)) >> place & 1
                ),
                default=0.0,
            )
            for place in range(len(self._addresses))
        ]

    def ended(self, address: str) -> None:
        pass
