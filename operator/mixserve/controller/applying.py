"""Bring the objects of one pool into the state that was planned, and tell of what had to be repaired."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.names import Reason
from mixserve.apply.errors import ApiError, Conflict, Terminating, Unavailable
from mixserve.apply.objects import ObjectWriter, Outcome
from mixserve.apply.resources import DEPLOYMENTS, OWNED_BY_KIND, SERVICE_ACCOUNTS
from mixserve.controller.gathering import owned_by
from mixserve.status.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection
    from mixserve.autoscale.decision import Decision
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.planning import PoolPlan
    from mixserve.controller.telemetry import Telemetry
    from mixserve.plan.objects import DesiredObject

    RawObject = Mapping[str, Any]
    Name = tuple[str, str]

_log = structlog.get_logger(__name__)

# Of an object that somebody else's controller changes again and again, people are told once in this time.
_TOLD_AGAIN_S = 60.0

_INTERNAL_ERROR = 500
"""What a broken admission webhook causes: it lasts, and people should know."""


@dataclass(frozen=True)
class Applied:
    """What applying a pool's objects came to.

    Attributes:
        changed: something was written.
        made_deployment: a Deployment was created.
        errors: what the API server refused, one sentence each.
    """

    changed: bool
    made_deployment: bool
    errors: tuple[str, ...]


@dataclass
class _PoolHistory:
    """What was done for a pool before: the objects that were there once, and when people were told of a repair."""

    made: set[Name] = field(default_factory=set)
    told_s: dict[Name, float] = field(default_factory=dict)


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
        self._events = events
        self._telemetry = telemetry
        self._writer = ObjectWriter(connection)
        self._histories: dict[PoolKey, _PoolHistory] = {}

    async def apply(self, key: PoolKey, plan: PoolPlan, decision: Decision) -> Applied:
        """Bring all objects into the desired state; one that is refused does not hold up the others.

        Raises:
            Unavailable, Conflict: try again soon.
            Terminating: the namespace is going, and the pool with it.
        """
        live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in self._view.owned(key)}
        wrong = [one for one in plan.objects if not self._is_right(key, one, live.get((one.kind, one.name)))]
        # Without its ServiceAccount a Deployment gets no pods, and tries again only after a while; all else can wait.
        first = [one for one in wrong if one.kind == SERVICE_ACCOUNTS.kind]
        done: list[tuple[DesiredObject, Outcome | BaseException]] = []
        for group in (first, [one for one in wrong if one not in first]):
            calls = (self._bring(key, plan, one, live.get((one.kind, one.name)), decision) for one in group)
            done += zip(group, await asyncio.gather(*calls, return_exceptions=True), strict=True)
        written = {f"{one.kind}/{one.name}": got.value for one, got in done if isinstance(got, Outcome)}
        if written:
            _log.info("objects_written", pool=str(key), **written)
        return Applied(
            changed=bool(wrong),
            made_deployment=any(one.kind == DEPLOYMENTS.kind and got is Outcome.CREATED for one, got in done),
            errors=tuple(_told(key, one, got) for one, got in done if isinstance(got, BaseException)),
        )

    def _is_right(self, key: PoolKey, desired: DesiredObject, live: RawObject | None) -> bool:
        if live is None or not self._writer.is_right(desired.body, live=live, desired_hash=desired.desired_hash):
            return False
        self._count(key, (desired.kind, desired.name), Outcome.UNCHANGED)
        return True

    async def prune(self, key: PoolKey, plan: PoolPlan) -> None:
        """Delete what is the pool's and no longer desired: the Deployment of a variant that was taken out.

        Its pods finish their requests as they do whenever they are deleted.
        """
        wanted = {(desired.kind, desired.name) for desired in plan.objects}
        for obj in owned_by(plan.pool.metadata.uid, self._view.owned(key)):
            name = (obj["kind"], obj["metadata"]["name"])
            if name not in wanted and "deletionTimestamp" not in obj["metadata"]:
                _log.info("object_pruned", pool=str(key), kind=name[0], name=name[1])
                await self._writer.remove(obj)
                self._history(key).made.discard(name)

    def forget(self, key: PoolKey) -> None:
        """Drop a pool that is gone."""
        self._histories.pop(key, None)

    def forget_object(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._writer.forget(uid)

    async def _bring(
        self,
        key: PoolKey,
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
        name = (desired.kind, desired.name)
        was_there = self._count(key, name, outcome)
        if outcome is Outcome.REPAIRED or (outcome is Outcome.CREATED and was_there):
            self._tell(key, plan, name, outcome)
        return outcome

    def _count(self, key: PoolKey, name: Name, outcome: Outcome) -> bool:
        """Note what was done; return whether the object was there before."""
        self._telemetry.objects.labels(name[0], outcome).inc()
        made = self._history(key).made
        was_there = name in made
        made.add(name)
        return was_there

    def _tell(self, key: PoolKey, plan: PoolPlan, name: Name, outcome: Outcome) -> None:
        history, now_s = self._history(key), time.monotonic()
        if now_s - history.told_s.get(name, -_TOLD_AGAIN_S) >= _TOLD_AGAIN_S:
            history.told_s[name] = now_s
            self._events.put(_repair_event(name, outcome), {"metadata": plan.pool.metadata.model_dump()})

    def _history(self, key: PoolKey) -> _PoolHistory:
        return self._histories.setdefault(key, _PoolHistory())


def _told(key: PoolKey, desired: DesiredObject, error: BaseException) -> str:
    """The refusal of an object for people; raises what will not last."""
    lasts = isinstance(error, ApiError) and not isinstance(error, (Conflict, Terminating))
    if not lasts or (isinstance(error, Unavailable) and error.status != _INTERNAL_ERROR):
        raise error
    _log.warning("object_refused", pool=str(key), kind=desired.kind, name=desired.name, error=str(error))
    return f"{desired.kind} {desired.name}: {error}"


def _repair_event(name: Name, outcome: Outcome) -> Event:
    what = "deleted, and was made anew" if outcome is Outcome.CREATED else "changed, and is as planned again"
    return Event(
        type="Normal",
        reason=Reason.REPAIRED,
        action="Repair",
        message=f"{name[0]} {name[1]} had been {what}. Change the pool instead",
    )
