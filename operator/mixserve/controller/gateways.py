"""One look at the gateway of a namespace: bring its objects into the state that is planned.

Level-triggered as for pools, and with the same queue, caches and writer. What goes with the last policy, Kubernetes
deletes, since the policies own it; only what somebody has taken the owners from is deleted here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.base import ObjectMeta
from mixserve.apply.errors import ApiError
from mixserve.apply.objects import ObjectWriter, Outcome
from mixserve.apply.resources import DEPLOYMENTS, ROLE_BINDINGS, WRITTEN_BY_KIND
from mixserve.controller.refusals import Refusals
from mixserve.controller.repairs import Repairs
from mixserve.plan.gateway_objects import gateway_objects

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

# A binding is refused without its role. Pods come last: without the account there are none, and without its rights they
# would only fail.
_NOT_FIRST = (ROLE_BINDINGS.kind, DEPLOYMENTS.kind)


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
        self._repairs = Repairs(events, telemetry, advice="It belongs to the gateway of this namespace")
        self._refused = refused
        self._told = told
        self._writer = ObjectWriter(connection)

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
        first = [one for one in wrong if one.kind not in _NOT_FIRST]
        written: dict[str, str] = {}
        for group in (first, *([one for one in wrong if one.kind == kind] for kind in _NOT_FIRST)):
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
        self._repairs.take(key, name, Outcome.UNCHANGED)
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
        self._repairs.take(key, (desired.kind, desired.name), outcome, about=policies)
        return outcome

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
        self._repairs.forget(key)

    def _say(self, key: GatewayKey, refusals: Refusals) -> None:
        before, now = self._refused.pop(key, ()), tuple(refusals.lasting)
        if now:
            self._refused[key] = now
        if before != now:
            self._told()
