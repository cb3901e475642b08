"""The policies that are compared."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

from mixserve.route.picking.affinity import affinity_of
from mixserve.route.picking.picker import PrefixAwarePicker
from mixserve.route.picking.weights import LoadWeights, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workloads import Turn

    from mixserve.route.picking.endpoint import Endpoint


class RoundRobin:
    """In turn, from a place that differs between replicas."""

    def __init__(self, addresses: Sequence[str], replica: int) -> None:
        shift = replica * len(addresses) // 2
        self._turns: Iterator[str] = cycle((*addresses[shift:], *addresses[:shift]))

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        pass

    def choose(self, turn: Turn, session: str) -> str:
        return next(self._turns)

    def ended(self, address: str) -> None:
        pass


class LeastRequest:
    """What Envoy does with equal weights: of two random endpoints the one with fewer active requests of its own."""

    def __init__(self, addresses: Sequence[str], replica: int) -> None:
        self.rng = random.Random(replica)  # noqa: S311 - a workload, not a secret
        self.active = dict.fromkeys(addresses, 0)

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        pass

    def choose(self, turn: Turn, session: str) -> str:
        chosen = min(self.rng.choices(list(self.active), k=2), key=self.active.__getitem__)
        self.active[chosen] += 1
        return chosen

    def ended(self, address: str) -> None:
        self.active[address] -= 1


class LeastLoad:
    """Envoy's least request with the product's weights.

    With unequal weights Envoy takes endpoints by earliest deadline: each gets 1 / (weight / (active + 1)) after its
    last turn. With equal ones it takes the better of two.
    """

    def __init__(self, addresses: Sequence[str], replica: int) -> None:
        self._equal = LeastRequest(addresses, replica)
        self._weights = LoadWeights()
        self._deadlines: list[tuple[float, float, str]] = []

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        before = self._weights.weights
        self._weights = load_weights(endpoints, before=self._weights, now_s=now_s)
        if self._weights.weights != before:
            # Envoy builds its schedule anew, from a random place.
            self._deadlines = []
            for address in before:
                self._schedule(address, 0.0, self._equal.rng.random())

    def choose(self, turn: Turn, session: str) -> str:
        if len(set(self._weights.weights.values())) == 1 or not self._deadlines:
            return self._equal.choose(turn, session)
        now, _, chosen = heapq.heappop(self._deadlines)
        self._equal.active[chosen] += 1
        self._schedule(chosen, now, 1.0)
        return chosen

    def _schedule(self, address: str, now: float, part: float) -> None:
        after = part * (self._equal.active[address] + 1) / self._weights.weights[address]
        heapq.heappush(self._deadlines, (now + after, self._equal.rng.random(), address))

    def ended(self, address: str) -> None:
        self._equal.ended(address)


class PrefixAware:
    """The product's picker: it sees the prompt's bytes, and the session if clients name it."""

    def __init__(
        self,
        *,
        sessions: bool = False,
        picker: PrefixAwarePicker | None = None,
        blocks: Callable[[tuple[int, ...]], tuple[int, ...]] = tuple,
    ) -> None:
        self._picker = picker or PrefixAwarePicker()
        self._sessions = sessions
        self._blocks = blocks

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        self._picker.update(endpoints, now_s=now_s)

    def choose(self, turn: Turn, session: str) -> str:
        affinity = affinity_of(turn.prompt, pool="llm/bench", session=session if self._sessions else "")
        pick = self._picker.pick(replace(affinity, blocks=self._blocks(affinity.blocks)))
        assert pick is not None
        return pick.addresses[0]

    def ended(self, address: str) -> None:
        pass
