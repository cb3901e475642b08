"""The status of RoutingPolicies: written when they, their pools or their gateways change, and shares now and then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.gateway_names import GATEWAY
from mixserve.api.routing_policy_status import RoutingPolicyStatus
from mixserve.apply.resources import DEPLOYMENTS, POLICIES
from mixserve.controller.object_cache import GatewayKey, PoolKey, key_of
from mixserve.controller.parsed_specs import status_of
from mixserve.controller.status_writer import StatusWriter
from mixserve.observe.gateway_metrics import read_gateway
from mixserve.observe.pods import is_ready, is_replica, takes_requests
from mixserve.status.events import condition_events
from mixserve.status.policy_status import GatewayObservation, PolicyObservation, build_policy_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.policies import Policies
    from mixserve.plan.gateway_options import GatewayOptions

    RawObject = Mapping[str, Any]
    Answered = Mapping[str, Mapping[tuple[str, str], int]]

_log = structlog.get_logger(__name__)

# A burst of changes is one piece of news.
_SETTLE_S = 1.0
# What gateways count is no news; they are asked this often.
_INTERVAL_S = 15.0


class PolicyReporter:
    """Keeps the status of RoutingPolicies.

    Args:
        connection: to the API server.
        view: policies, pools, pods and gateways.
        policies: judges them.
        refused: by gateway, what the API server refuses of its objects.
        session: carries the requests to gateways.
        options: how gateways are deployed.
        events: takes what people look for.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        view: ClusterView,
        policies: Policies,
        refused: Mapping[GatewayKey, tuple[str, ...]],
        session: aiohttp.ClientSession,
        options: GatewayOptions,
        events: EventPoster,
    ) -> None:
        self._view = view
        self._policies = policies
        self._refused = refused
        self._session = session
        self._scheme = "http" if options.tls_secret_name is None else "https"
        self._events = events
        self._writer = StatusWriter(connection, view)
        self._news = asyncio.Event()
        self._answered: dict[str, Answered] = {}
        self._asked_s = -_INTERVAL_S

    def look(self) -> None:
        """There is news: look at all policies soon."""
        self._news.set()

    def forget(self, uid: str) -> None:
        """Drop a policy that is gone."""
        self._writer.forget(uid)

    async def run(self) -> None:
        """Look at all policies again and again, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_S):
                    await self._news.wait()
            await asyncio.sleep(_SETTLE_S)
            self._news.clear()
            try:
                await self.write_all()
            except Exception:  # noqa: BLE001 - a policy on which this stumbles must not stop what serves
                _log.exception("policy_look_failed")

    async def write_all(self) -> None:
        """Write what differs; what can't be written is tried again at the next look."""
        namespaces = sorted({key_of(raw).namespace for raw in self._view.policies.all()})
        if time.monotonic() - self._asked_s >= _INTERVAL_S:
            self._asked_s = time.monotonic()
            self._answered = {namespace: await self._ask(namespace) for namespace in namespaces}
        for namespace in namespaces:
            await self._write_namespace(namespace)

    async def _write_namespace(self, namespace: str) -> None:
        specs = {one.policy.metadata.uid: one.policy.spec for one in self._policies.in_force(namespace)}
        gateway, ready = self._gateway(namespace), self._ready_replicas(namespace)
        answered = self._answered.get(namespace, {})
        for raw in self._view.policies_in(namespace):
            seen = PolicyObservation(
                generation=raw["metadata"]["generation"],
                findings=self._policies.findings(raw),
                in_force=specs.get(raw["metadata"]["uid"]),
                gateway=gateway,
                ready_replicas=ready,
                answered=answered.get(raw["metadata"]["name"]),
            )
            await self._write(raw, seen)

    async def _write(self, raw: RawObject, seen: PolicyObservation) -> None:
        previous = status_of(RoutingPolicyStatus, raw)
        status = build_policy_status(seen, previous=previous, now_s=time.time())
        if status == previous or not await self._writer.write(POLICIES, raw, status):
            return
        for event in condition_events(() if previous is None else previous.conditions, status.conditions):
            _log.info("policy_changed", policy=str(key_of(raw)), reason=event.reason.value, message=event.message)
            self._events.put(event, raw)

    def _gateway(self, namespace: str) -> GatewayObservation:
        deployment = self._view.get(DEPLOYMENTS, PoolKey(namespace, GATEWAY))
        return GatewayObservation(
            address=f"{self._scheme}://{GATEWAY}.{namespace}.svc",
            ready_replicas=None if deployment is None else len(self._ready_gateways(namespace)),
            refused=self._refused.get(GatewayKey(namespace), ()),
        )

    def _ready_gateways(self, namespace: str) -> list[RawObject]:
        return [pod for pod in self._view.pods.of(GatewayKey(namespace)) if is_replica(pod) and is_ready(pod)]

    def _ready_replicas(self, namespace: str) -> dict[str, int]:
        """By pool, the replicas that take requests."""
        keys = [key_of(raw) for raw in self._view.pools_in(namespace)]
        return {
            key.name: sum(is_replica(pod) and takes_requests(pod) for pod in self._view.pods.of(key)) for key in keys
        }

    async def _ask(self, namespace: str) -> Answered:
        """What all gateways of a namespace have counted; nothing where one does not say: it would be another share."""
        pods = self._ready_gateways(namespace)
        found = await asyncio.gather(*(read_gateway(self._session, pod["status"]["podIP"]) for pod in pods))
        total: dict[str, Counter[tuple[str, str]]] = {}
        for counts in found:
            if counts is None:
                return {}
            for policy, requests in counts.items():
                total.setdefault(policy, Counter()).update(requests)
        return total
