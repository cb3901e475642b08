"""Everything that follows from what is known: Envoy's files, its endpoints, and the answers to its questions."""

from __future__ import annotations

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

    async def apply(self, table: RoutingTable) -> None:
        """Serve by this table from now on."""
        self._table = table
        self._weights = {pool.name: self._weights.get(pool.name, LoadWeights()) for pool in table.pools}
        self._router.know(table)
        self._ledger.know(table)
        self.see()
        await self._files.apply(table)

    def see(self) -> None:
        """Take the newest signals of all engines.

        Before there is a table nothing is told to Envoy, which may have been serving since before this process was
        started anew: "no endpoints" would end that.
        """
        if self._table is None:
            return
        now_s = time.time()
        self._router.see(self._sample, now_s=now_s)
        self._discovery.update({pool.name: endpoints(pool, self._weigh(pool, now_s)) for pool in self._table.pools})

    def _weigh(self, pool: PoolEntry, now_s: float) -> Mapping[str, int]:
        """Weights for the pools that Envoy spreads itself; elsewhere they would only change what it falls back to."""
        if pool.strategy is not RoutingStrategy.LEAST_LOAD:
            return {}
        seen = [Endpoint(address=each, sample=self._sample(each)) for each in pool.endpoints]
        found = load_weights(seen, before=self._weights[pool.name], now_s=now_s)
        self._weights[pool.name] = found
        return found.weights
