"""The objects of the gateway's namespace, kept up to date, and the table that is made of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.cluster_observation import Unseen
from mixserve.api.gateway_names import GATEWAY
from mixserve.api.names import LABEL_POOL
from mixserve.apply.errors import ApiError
from mixserve.apply.last_valid_policies import last_valid_policies
from mixserve.apply.resources import PODS, POLICIES, POOLS, SERVICE_ACCOUNTS
from mixserve.gateway.assembling import assemble, know_policy, know_pool, know_replica
from mixserve.observe.feed import Feed
from mixserve.validate.policies_in_force import policies_in_force

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mixserve.api.routing_policy import RoutingPolicy
    from mixserve.apply.connection import Connection
    from mixserve.engines.protocol import MetricsPage
    from mixserve.gateway.assembling import KnownPool
    from mixserve.route.table import RoutingTable

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)

# A rollout changes a dozen pods at once; what Envoy has to learn of them may wait this long.
_GATHER_S = 0.05


class NamespaceView:
    """Watches pools, policies and pods of a namespace.

    Args:
        connection: to the API server.
        namespace: the gateway's.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._account: RawObject | None = None
        self._valid: dict[str, RoutingPolicy] = {}
        self._news = asyncio.Event()
        told = self._news.set
        self._readable: dict[str, KnownPool] = {}
        self._pools = Feed(connection, POOLS, trim=self._know_pool, changed=told, namespace=namespace)
        self._policies = Feed(connection, POLICIES, trim=know_policy, changed=told, namespace=namespace)
        self._replicas = Feed(
            connection, PODS, trim=know_replica, changed=told, namespace=namespace, label_selector=LABEL_POOL
        )

    def feeds(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run for it to be kept up to date."""
        return [self._pools.run(), self._policies.run(), self._replicas.run()]

    @property
    def silent_for_s(self) -> float:
        """Seconds since the API server was last asked for the kind of object for which that is longest ago."""
        return max(feed.silent_for_s for feed in (self._pools, self._policies, self._replicas))

    async def recall(self) -> None:
        """Read how policies last were valid, for those that are not at the start."""
        try:
            self._account = await self._connection.get(SERVICE_ACCOUNTS, namespace=self._namespace, name=GATEWAY)
        except ApiError as error:  # without it only a policy that is invalid now is not followed
            _log.warning("last_valid_policies_unknown", error=str(error))

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
        noted = last_valid_policies([each.raw for each in policies], self._account)
        there = {each.raw["metadata"]["uid"] for each in policies}
        followed = policies_in_force(
            [each.written for each in policies if each.written is not None],
            pools=[each.pool for each in pools],
            before={**noted, **{uid: policy for uid, policy in self._valid.items() if uid in there}},
        )
        self._valid = {each.policy.metadata.uid: each.policy for each in followed}
        self._readable = {each.pool.metadata.uid: each for each in pools}
        return assemble(self._namespace, pools=pools, policies=followed, replicas=replicas)

    def engines(self) -> Mapping[str, MetricsPage]:
        """The metrics pages of the engines that take requests, by ip:port."""
        pools, replicas = self._pools.seen, self._replicas.seen
        if isinstance(pools, Unseen) or isinstance(replicas, Unseen):
            return {}
        pages = {each.pool.metadata.name: each.metrics for each in pools}
        return {each.address: pages[each.pool] for each in replicas if each.pool in pages}

    def _know_pool(self, pool: RawObject) -> KnownPool | None:
        """A pool that can't be read any more is as it was: CRDs of a newer version come before this process."""
        uid = pool["metadata"]["uid"]
        found = know_pool(pool) or self._readable.get(uid)
        if found is not None:
            self._readable[uid] = found
        return found
