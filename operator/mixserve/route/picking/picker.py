"""`PrefixAware`: send a request where its prefix, session or adapter is, unless that carries more than its share.

Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018): the key of a request orders the
endpoints, and the first one whose load is within a bound gets it. Keys and orders are the same in every replica of the
gateway, so they agree without talking; what they don't share is how popular a prefix is (see `popularity`) and what
they have picked since the last scrape. The numbers are in `tuning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from mixserve.route.picking.endpoint import Pick, PickReason
from mixserve.route.picking.load import Loads
from mixserve.route.picking.popularity import Popularity
from mixserve.route.picking.rendezvous import ORDER_LENGTH, Rendezvous
from mixserve.route.picking.tuning import TUNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.route.picking.affinity import Affinity
    from mixserve.route.picking.endpoint import Endpoint
    from mixserve.route.picking.tuning import Tuning

TRIES = 3
"""Endpoints of a pick: the first try and two retries."""


class PrefixAwarePicker:
    """Picks endpoints of one pool, in one replica of the gateway.

    picker = PrefixAwarePicker()
    picker.update(endpoints, now_s=now_s)       # after every scrape, failed ones too, and when endpoints change
    pick = picker.pick(affinity)                # None: nothing is ready
    """

    def __init__(self, tuning: Tuning = TUNING) -> None:
        self._tuning = tuning
        self._loads = Loads(tuning)
        self._popularity = Popularity(largest_share=tuning.largest_share)
        self._addresses: tuple[str, ...] = ()
        self._adapters: list[set[str]] = []
        self._rendezvous = Rendezvous(())
        self._picks = 0

    def update(self, endpoints: Sequence[Endpoint], *, now_s: float) -> None:
        """Take what was seen last of the pool's endpoints.

        Args:
            endpoints: those that may get requests, in any order; none where the pool has none.
            now_s: the clock that `scraped_at_s` of the samples was read from.
        """
        ordered = sorted(endpoints, key=lambda endpoint: endpoint.address)
        addresses = tuple(endpoint.address for endpoint in ordered)
        if addresses != self._addresses:
            self._addresses, self._rendezvous = addresses, Rendezvous(addresses)
        self._loads.update(ordered, now_s=now_s)
        self._adapters = [set(endpoint.adapters) for endpoint in ordered]

    def pick(self, affinity: Affinity) -> Pick | None:
        """Choose endpoints for a request, and count it as theirs; None where no endpoint is ready."""
        if not self._addresses:
            return None
        order, bound, reason = self._preference(affinity)
        first, reason = self._first(order, bound, reason)
        self._loads.add(first, prompt_length=affinity.prompt_length)
        if affinity.adapter:
            self._adapters[first].add(affinity.adapter)
        others = [position for position in order if position != first][: TRIES - 1]
        addresses = tuple(self._addresses[position] for position in (first, *others))
        return Pick(addresses, PickReason.BLIND if self._loads.blind else reason)

    def _first(self, order: Sequence[int], bound: float, reason: PickReason) -> tuple[int, PickReason]:
        loads = self._loads.requests
        if reason is PickReason.LEAST_LOAD:
            return self._least_loaded(order), reason
        for position in order:
            if loads[position] <= bound:
                return position, reason if position == order[0] else PickReason.SPILLED
        return self._least_loaded(order), PickReason.SPILLED

    def _preference(self, affinity: Affinity) -> tuple[tuple[int, ...], float, PickReason]:
        """The endpoints that a request should go to, in order, up to which load, and why."""
        mean = (self._loads.total + 1) / len(self._addresses)
        kept = self._tuning.kept_bound.load(mean)
        blocks, session = affinity.blocks, affinity.session
        if affinity.adapter:
            return self._holders_first(affinity), kept, PickReason.ADAPTER
        if session is not None:
            return self._rendezvous.order(session), kept, PickReason.SESSION
        if blocks:
            key, came_before = self._popularity.key(blocks, endpoints=len(self._addresses))
            bound = kept if came_before else self._tuning.new_bound.load(mean)
            return self._rendezvous.order(key), bound, PickReason.PREFIX
        return self._rotated(), 0.0, PickReason.LEAST_LOAD

    def _holders_first(self, affinity: Affinity) -> tuple[int, ...]:
        """Those that hold the adapter, in the order of the request's key; then others, always the same for one adapter.

        A key of the adapter, not of the request, chooses the others: else an adapter would soon be everywhere.
        """
        adapter = affinity.adapter
        holders = {position for position, adapters in enumerate(self._adapters) if adapter in adapters}
        others = self._rendezvous.order(crc32(adapter.encode()))
        ordered = self._rendezvous.ranked(self._key(affinity), holders)
        return (*ordered, *(position for position in others if position not in holders))

    def _key(self, affinity: Affinity) -> int:
        if affinity.session is not None:
            return affinity.session
        if affinity.blocks:
            return self._popularity.key(affinity.blocks, endpoints=len(self._addresses))[0]
        self._picks += 1
        return self._picks

    def _rotated(self) -> tuple[int, ...]:
        """A few endpoints from the next place on, so that equals take turns."""
        self._picks += 1
        count = len(self._addresses)
        return tuple((self._picks + place) % count for place in range(min(count, ORDER_LENGTH)))

    def _least_loaded(self, order: Sequence[int]) -> int:
        """The least loaded of all; of equals, the first in the order, else the first of all."""
        loads = self._loads.requests
        least = min(loads)
        return next((position for position in order if loads[position] == least), loads.index(least))
