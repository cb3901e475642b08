"""`PrefixAware`: send a request where its prefix, session or adapter is, as long as that carries no more than its share.

Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018): the key of a request orders the
endpoints, and the first one whose load is at most `LOAD_BOUND` times the mean gets it. Replicas of the gateway agree
without talking, since keys and orders are the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.route.picking.endpoint import Pick, PickReason
from mixserve.route.picking.load import Loads
from mixserve.route.picking.rendezvous import Rendezvous

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.route.picking.affinity import Affinity
    from mixserve.route.picking.endpoint import Endpoint

TRIES = 3
"""Endpoints of a pick: the first try and two retries."""


class PrefixAwarePicker:
    """Picks endpoints of one pool, in one replica of the gateway.

    picker = PrefixAwarePicker()
    picker.update(endpoints, now_s=now_s)       # after every scrape, failed ones too, and when endpoints change
    pick = picker.pick(affinity)                # None: nothing is ready
    """

    def __init__(self) -> None:
        self._loads = Loads()
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
        order = self._rendezvous.order(affinity.session or (affinity.blocks or (0,))[-1])
        self._loads.add(order[0])
        return Pick(tuple(self._addresses[position] for position in order[:TRIES]), PickReason.PREFIX)
