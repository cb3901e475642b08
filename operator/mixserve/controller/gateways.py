"""One look at the gateway of a namespace: bring its objects into the state that is planned.

Level-triggered as for pools, and with the same queue, caches and writer. What goes with the last policy, Kubernetes
deletes, since the policies own it; only what somebody has taken the owners from is deleted here.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.base import ObjectMeta
from mixserve.api.names import Reason
from mixserve.apply.errors import ApiError
from mixserve.apply.objects import ObjectWriter, Outcome
from mixserve.apply.resources import DEPLOYMENTS, WRITTEN_BY_KIND
from mixserve.controller.refusals import Refusals
from mixserve.plan.gateway_objects import gateway_objects
from mixserve.status.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.object_cache import GatewayKey
    from mixserve.controller.policies import Policies
    from mixserve.controller.telemetry import Telemetry
    from mixserve.plan.gateway_options import GatewayOptions
    from mixserve.plan.objects import DesiredObject

    RawObject = Mapping[str, Any]
    Name = tuple[str, str]

_log = structlog.get_logger(__name__)

# Of an object that somebody else's controller changes again and again, people are told once in this time.
_TOLD_AGAIN_S = 60.0


class Gateways:
    """Looks at gateways, one call per look.

    Args:
        connection: to the API server.
        view: takes what comes back.
        policies: by which gateways route.
        options: how gateways are deployed.
        events: takes what had to be repaired.
        telemetry: takes what was done.
        refused: takes, by gateway, what the API server refuses of its objects, one sentence each.
        told: called when that has changed.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        view: ClusterView,
        policies: Policies,
        options: GatewayOptions,
        events: EventPoster,
        telemetry: Telemetry,
        refused: dict[GatewayKey, tuple[str, ...]],
        told: Callable[[], None],
    ) -> None:
        self._view = view
        self._policies = policies
        self._options = options
        self._events = events
        self._telemetry = telemetry
        self._refused = refused
        self._told = told
        self._writer = ObjectWriter(connection)
        self._made: dict[GatewayKey, set[Name]] = {}
        self._told_s: dict[tuple[GatewayKey, Name], float] = {}

    async def reconcile(self, key: GatewayKey) -> None:
        """Bring the gateway into the state that is planned, or forget it if there is no policy any more.

        Raises:
            RefusedError, ApiError: look again later.
        """
        raws, refusals = self._view.policies_in(key.namespace), Refusals()
        if raws:
            await self._apply(key, raws, refusals)
        else:
            await self._clear(key, refusals)
        self._say(key, refusals)
        refusals.ensure_none()

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._writer.forget(uid)

    async def _apply(self, key: GatewayKey, raws: Sequence[RawObject], refusals: Refusals) -> None:
        live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in self._view.owned(key)}
        wrong = [one for one in self._desired(key, raws) if not self._is_right(key, one, live)]
        # Pods come last: without the account there are none, and without its rights they would only fail.
        first = [one for one in wrong if one.kind != DEPLOYMENTS.kind]
        written: dict[str, str] = {}
        for group in (first, [one for one in wrong if one not in first]):
            if refusals.lasting or refusals.passing:
                break
            calls = (self._bring(key, one, live.get((one.kind, one.name)), raws) for one in group)
            for one, got in zip(group, await asyncio.gather(*calls, return_exceptions=True), strict=True):
                if isinstance(got, ApiError):
                    refusals.take(f"{one.kind} {one.name}", got)
                elif isinstance(got, BaseException):
                    raise got
                else:
                    written[f"{one.kind}/{one.name}"] = got.value
        if written:
            _log.info("gateway_written", namespace=key.namespace, **written)

    def _desired(self, key: GatewayKey, raws: Sequence[RawObject]) -> tuple[DesiredObject, ...]:
        return gateway_objects(
            [ObjectMeta.model_validate(raw["metadata"]) for raw in raws],
            valid={one.policy.metadata.uid: one.policy.spec for one in self._policies.in_force(key.namespace)},
            options=self._options,
        )

    def _is_right(self, key: GatewayKey, desired: DesiredObject, live: Mapping[Name, RawObject]) -> bool:
        name = (desired.kind, desired.name)
        found = live.get(name)
        if found is None or not self._writer.is_right(desired.body, live=found, desired_hash=desired.desired_hash):
            return False
        self._count(key, name, Outcome.UNCHANGED)
        return True

    async def _bring(
        self,
        key: GatewayKey,
        desired: DesiredObject,
        live: RawObject | None,
        policies: Sequence[RawObject],
    ) -> Outcome:
        outcome, now = await self._writer.bring(desired.body, live=live, desired_hash=desired.desired_hash)
        self._view.put(WRITTEN_BY_KIND[desired.kind], now)
        name = (desired.kind, desired.name)
        was_there = self._count(key, name, outcome)
        if outcome is Outcome.REPAIRED or (outcome is Outcome.CREATED and was_there):
            self._tell(key, name, policies)
        return outcome

    def _count(self, key: GatewayKey, name: Name, outcome: Outcome) -> bool:
        """Note what was done; return whether the object was there before."""
        self._telemetry.objects.labels(name[0], outcome).inc()
        made = self._made.setdefault(key, set())
        was_there = name in made
        made.add(name)
        return was_there

    def _tell(self, key: GatewayKey, name: Name, policies: Sequence[RawObject]) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s.get((key, name), -_TOLD_AGAIN_S) < _TOLD_AGAIN_S:
            return
        self._told_s[key, name] = now_s
        message = f"{name[0]} {name[1]} was not as planned, and is again. It belongs to the gateway of this namespace"
        for policy in policies:
            self._events.put(Event(type="Normal", reason=Reason.REPAIRED, action="Repair", message=message), policy)

    async def _clear(self, key: GatewayKey, refusals: Refusals) -> None:
        """Delete what has no owners: Kubernetes deletes what has policies that are gone."""
        for obj in self._view.owned(key):
            metadata = obj["metadata"]
            if not metadata.get("ownerReferences") and "deletionTimestamp" not in metadata:
                _log.info("gateway_pruned", namespace=key.namespace, kind=obj["kind"], name=metadata["name"])
                try:
                    await self._writer.remove(obj)
                except ApiError as error:
                    refusals.take(f"{obj['kind']} {metadata['name']}", error)
        for name in self._made.pop(key, ()):
            self._told_s.pop((key, name), None)

    def _say(self, key: GatewayKey, refusals: Refusals) -> None:
        before, now = self._refused.pop(key, ()), tuple(refusals.lasting)
        if now:
            self._refused[key] = now
        if before != now:
            self._told()
