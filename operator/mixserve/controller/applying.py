"""Bring the objects of one pool into the state that was planned, and tell of what had to be repaired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.names import LABEL_VARIANT
from mixserve.apply.changes import is_kept
from mixserve.apply.errors import ApiError
from mixserve.apply.objects import ObjectWriter, Outcome
from mixserve.apply.resources import CONFIG_MAPS, DEPLOYMENTS, OWNED_BY_KIND, SERVICE_ACCOUNTS
from mixserve.controller.gathering import owned_by
from mixserve.controller.repairs import Repairs
from mixserve.observe.pods import takes_requests
from mixserve.status.workload import has_its_minimum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.observation import PoolObservation
    from mixserve.apply.connection import Connection
    from mixserve.autoscale.decision import Decision
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.pool_plan import PoolPlan
    from mixserve.controller.refusals import Refusals
    from mixserve.controller.telemetry import Telemetry
    from mixserve.plan.objects import DesiredObject

    RawObject = Mapping[str, Any]
    Name = tuple[str, str]

_log = structlog.get_logger(__name__)

_NEEDED_BY_PODS = frozenset({SERVICE_ACCOUNTS.kind, CONFIG_MAPS.kind})


@dataclass(frozen=True)
class Applied:
    """What applying a pool's objects came to.

    Attributes:
        changed: something was written, or should have been.
        made_deployment: a Deployment was created.
    """

    changed: bool
    made_deployment: bool


class Applier:
    """Writes objects; each answer goes into the caches at once, so that nothing is done twice."""

    def __init__(
        self,
        connection: Connection,
        *,
        view: ClusterView,
        events: EventPoster,
        telemetry: Telemetry,
    ) -> None:
        self._view = view
        self._repairs = Repairs(events, telemetry, advice="Change the pool instead")
        self._writer = ObjectWriter(connection)

    async def apply(self, key: PoolKey, plan: PoolPlan, decision: Decision, refusals: Refusals) -> Applied:
        """Bring all objects into the desired state; one that is refused does not hold up the others.

        Raises:
            Terminating: the namespace is going, and the pool with it.
        """
        live = {_name(obj): obj for obj in self._view.owned(key)}
        wrong = [one for one in plan.objects if not self._is_right(plan, one, live.get((one.kind, one.name)))]
        # Without its ServiceAccount a Deployment gets no pods, and without its ConfigMap they do not start; both are
        # tried again only after a while. All else can wait.
        first = [one for one in wrong if one.kind in _NEEDED_BY_PODS]
        done: list[tuple[DesiredObject, Outcome | BaseException]] = []
        for group in (first, [one for one in wrong if one not in first]):
            possible = _possible(group, done)
            calls = (self._bring(plan, one, live.get((one.kind, one.name)), decision) for one in possible)
            done += zip(possible, await asyncio.gather(*calls, return_exceptions=True), strict=True)
        _take_errors(done, refusals)
        written = {f"{one.kind}/{one.name}": got.value for one, got in done if isinstance(got, Outcome)}
        if written:
            _log.info("objects_written", pool=str(key), **written)
        return Applied(
            changed=bool(wrong),
            made_deployment=any(one.kind == DEPLOYMENTS.kind and got is Outcome.CREATED for one, got in done),
        )

    def _is_right(self, plan: PoolPlan, desired: DesiredObject, live: RawObject | None) -> bool:
        if live is None or not self._writer.is_right(desired.body, live=live, desired_hash=desired.desired_hash):
            return False
        self._repairs.take(plan.pool.metadata.uid, (desired.kind, desired.name), Outcome.UNCHANGED)
        return True

    async def prune(
        self,
        key: PoolKey,
        plan: PoolPlan,
        refusals: Refusals,
        *,
        observation: PoolObservation,
    ) -> None:
        """Delete what is the pool's and no longer desired: the Deployment of a variant that was taken out.

        Its pods finish their requests as they do whenever they are deleted. While the variants of the plan can't take
        the requests, a variant that serves stays, and in a rollout the options that pods of the old template read.

        Args:
            key: the pool's.
            plan: what is desired.
            refusals: takes what goes wrong.
            observation: what is seen of the plan's variants now that it is applied.

        Raises:
            Terminating: the namespace is going, and the pool with it.
        """
        wanted = {(desired.kind, desired.name) for desired in plan.objects}
        kept = set() if has_its_minimum(plan.pool.spec, observation) else self._serving(key)
        rolling_out = {seen.name for seen in observation.variants if seen.rolling_out}
        for obj in owned_by(plan.pool.metadata.uid, self._view.owned(key)):
            name, variant = _name(obj), obj["metadata"].get("labels", {}).get(LABEL_VARIANT)
            stays = variant in kept or (obj["kind"] == CONFIG_MAPS.kind and variant in rolling_out) or is_kept(obj)
            if name not in wanted and not stays and "deletionTimestamp" not in obj["metadata"]:
                await self._remove(key, plan, obj, refusals)

    async def _remove(self, key: PoolKey, plan: PoolPlan, obj: RawObject, refusals: Refusals) -> None:
        kind, name = _name(obj)
        _log.info("object_pruned", pool=str(key), kind=kind, name=name)
        try:
            await self._writer.remove(obj)
        except ApiError as error:
            refusals.take(f"{kind} {name}", error)
        self._repairs.drop(plan.pool.metadata.uid, (kind, name))

    def _serving(self, key: PoolKey) -> set[str]:
        """The variants of which a pod takes requests."""
        return {
            pod["metadata"]["labels"].get(LABEL_VARIANT, "") for pod in self._view.pods.of(key) if takes_requests(pod)
        }

    def forget(self, uid: str) -> None:
        """Drop an object that is gone, or a pool."""
        self._writer.forget(uid)
        self._repairs.forget(uid)

    async def _bring(
        self,
        plan: PoolPlan,
        desired: DesiredObject,
        live: RawObject | None,
        decision: Decision,
    ) -> Outcome:
        is_deployment = desired.kind == DEPLOYMENTS.kind and desired.variant is not None
        outcome, now = await self._writer.bring(
            desired.body,
            live=live,
            desired_hash=desired.desired_hash,
            replicas=decision.wanted(desired.variant or "") if is_deployment else None,
        )
        self._view.put(OWNED_BY_KIND[desired.kind], now)
        metadata = plan.pool.metadata
        self._repairs.take(
            metadata.uid, (desired.kind, desired.name), outcome, about=[{"metadata": metadata.model_dump()}]
        )
        return outcome


def _possible(
    group: Sequence[DesiredObject],
    done: Sequence[tuple[DesiredObject, object]],
) -> Sequence[DesiredObject]:
    """All, but no Deployment after an error: its pods would start with what was there before, and stay so."""
    failed = any(isinstance(got, BaseException) for _, got in done)
    return [one for one in group if not failed or one.kind != DEPLOYMENTS.kind]


def _take_errors(done: Sequence[tuple[DesiredObject, object]], refusals: Refusals) -> None:
    for one, got in done:
        if isinstance(got, ApiError):
            refusals.take(f"{one.kind} {one.name}", got)
        elif isinstance(got, BaseException):
            raise got


def _name(obj: RawObject) -> Name:
    return obj["kind"], obj["metadata"]["name"]
