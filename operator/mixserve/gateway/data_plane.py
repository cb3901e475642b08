"""Everything that follows from what is known: Envoy's files, its endpoints, and the answers to its questions."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from mixserve.api.pool import RoutingStrategy
from mixserve.plan.envoy.clusters import endpoints
from mixserve.route.picking.endpoint import Endpoint
from mixserve.route.picking.weights import LoadWeights, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mixserve.api.observation import EngineSample, Missing
    from mixserve.gateway.accounting.ledger import Ledger
    from mixserve.gateway.discovery import EndpointDiscovery
    from mixserve.gateway.envoy_files import EnvoyFiles
    from mixserve.gateway.routing import Router
    from mixserve.plan.envoy.resources import Resource
    from mixserve.route.table import PoolEntry, RoutingTable


class DataPlane:
    """Keeps all parts of the data plane at the same news.

    Args:
        files: Envoy's configuration.
        discovery: Envoy's endpoints.
        router: decides.
        ledger: accounts.
        sample: the newest signals of an engine, by ip:port.
    """

    def __init__(
        self,
        *,
        files: EnvoyFiles,
        discovery: EndpointDiscovery,
        router: Router,
        ledger: Ledger,
        sample: Callable[[str], EngineSample | Missing],
    ) -> None:
        self._files = files
        self._discovery = discovery
        self._router = router
        self._ledger = ledger
        self._sample = sample
        self._table: RoutingTable | None = None
        self._weights: dict[str, LoadWeights] = {}
        self._told: dict[str, Resource] = {}
        self._leaving: dict[str, Resource] = {}
        self._lock = asyncio.Lock()

    async def apply(self, table: RoutingTable) -> None:
        """Serve by this table from now on.

        A pool that has lost its last replica keeps it in Envoy until no chain names the pool any more: an attempt at an
        address that nobody answers at is followed by the next pool's, one at a pool without addresses is not. A pool
        that is deleted stays as long.
        """
        async with self._lock:
            named = {pool.name: pool for pool in table.pools}
            self._leaving = {
                name: one
                for name, one in self._told.items()
                if name not in named or (one["endpoints"] and not named[name].endpoints)
            }
            self._table = table
            self._weights = {pool.name: self._weights.get(pool.name, LoadWeights()) for pool in table.pools}
            self._router.know(table)
            self._ledger.know(table)
            self.see()
            await self._files.apply(table)

    async def let_go(self) -> None:
        """Take from Envoy what no request can ask for any more; to be called again and again."""
        async with self._lock:
            if self._leaving and await self._files.is_followed():
                self._files.let_go()
                self._leaving = {}
                self.see()

    def see(self) -> None:
        """Take the newest signals of all engines.

        Before there is a table nothing is told to Envoy, which may have been serving since before this process was
        started anew: "no endpoints" would end that.
        """
        if self._table is None:
            return
        now_s = time.time()
        self._router.see(self._sample, now_s=now_s)
        now = {pool.name: endpoints(pool, self._weigh(pool, now_s)) for pool in self._table.pools}
        self._told = now | self._leaving
        self._discovery.update(self._told)

    def _weigh(self, pool: PoolEntry, now_s: float) -> Mapping[str, int]:
        """Weights for the pools that Envoy spreads itself; elsewhere they would only change what it falls back to."""
        if pool.strategy is not RoutingStrategy.LEAST_LOAD:
            return {}
        seen = [Endpoint(address=each, sample=self._sample(each)) for each in pool.endpoints]
        found = load_weights(seen, before=self._weights[pool.name], now_s=now_s)
        self._weights[pool.name] = found
        return found.weights
