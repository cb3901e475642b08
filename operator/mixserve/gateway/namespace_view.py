"""The objects of the gateway's namespace, kept up to date, and the table that is made of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mixserve.api.cluster_observation import Unseen
from mixserve.api.names import LABEL_POOL
from mixserve.apply.resources import PODS, POLICIES, POOLS
from mixserve.gateway.assembling import assemble, know_policy, know_pool, know_replica
from mixserve.observe.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from mixserve.apply.connection import Connection
    from mixserve.engines.protocol import MetricsPage
    from mixserve.route.table import RoutingTable

# A rollout changes a dozen pods at once; what Envoy has to learn of them may wait this long.
_GATHER_S = 0.05


class NamespaceView:
    """Watches pools, policies and pods of a namespace.

    Args:
        connection: to the API server.
        namespace: the gateway's.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._namespace = namespace
        self._news = asyncio.Event()
        told = self._news.set
        self._pools = Feed(connection, POOLS, trim=know_pool, changed=told, namespace=namespace)
        self._policies = Feed(connection, POLICIES, trim=know_policy, changed=told, namespace=namespace)
        self._replicas = Feed(
            connection, PODS, trim=know_replica, changed=told, namespace=namespace, label_selector=LABEL_POOL
        )

    def feeds(self) -> list[Awaitable[None]]:
        """What has to run for it to be kept up to date."""
        return [self._pools.run(), self._policies.run(), self._replicas.run()]

    async def news(self) -> None:
        """Wait until something is different, and for what comes right after it."""
        await self._news.wait()
        await asyncio.sleep(_GATHER_S)
        self._news.clear()

    @property
    def problem(self) -> str | None:
        """Why there is no table yet; None if there is one."""
        for feed, what in ((self._pools, "pools"), (self._policies, "policies"), (self._replicas, "pods")):
            if isinstance(feed.seen, Unseen):
                return f"{what} of {self._namespace}: {feed.seen.reason.value} {feed.seen.detail}".rstrip()
        return None

    def table(self) -> RoutingTable | None:
        """What is known; None while a part of it is not, since an empty list would take down what serves."""
        pools, policies, replicas = self._pools.seen, self._policies.seen, self._replicas.seen
        if isinstance(pools, Unseen) or isinstance(policies, Unseen) or isinstance(replicas, Unseen):
            return None
        return assemble(self._namespace, pools=pools, policies=policies, replicas=replicas)

    def engines(self) -> Mapping[str, MetricsPage]:
        """The metrics pages of the engines that take requests, by ip:port."""
        pools, replicas = self._pools.seen, self._replicas.seen
        if isinstance(pools, Unseen) or isinstance(replicas, Unseen):
            return {}
        pages = {pool.claim.name: pool.metrics for pool in pools}
        return {replica.address: pages[replica.pool] for replica in replicas if replica.pool in pages}
