"""Status and events of a pool, written only when they differ from what was written last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.pool_status import PoolStatus
from mixserve.apply.errors import Conflict, NotFound
from mixserve.apply.resources import POOLS
from mixserve.apply.status import write_status
from mixserve.controller.parsed_specs import status_of
from mixserve.status.conditions import Findings, build_conditions
from mixserve.status.events import build_events
from mixserve.status.pool_status import build_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.pool_plan import Assessment, PoolPlan
    from mixserve.status.pool_status import Outcome

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)


class Reporter:
    """Tells people how pools are."""

    def __init__(self, connection: Connection, *, view: ClusterView, events: EventPoster) -> None:
        self._connection = connection
        self._view = view
        self._events = events
        self._written: dict[str, tuple[str, PoolStatus]] = {}

    async def report(
        self,
        key: PoolKey,
        raw: RawObject,
        assessment: Assessment,
        *,
        plan: PoolPlan | None,
        outcome: Outcome | None,
        refused: Sequence[str],
    ) -> None:
        """Write the pool's status if it has changed, and events about what has changed.

        Args:
            key: the pool's.
            raw: the pool.
            assessment: of its spec.
            plan: the one in force, or None.
            outcome: what was seen and decided by that plan, or None.
            refused: what the API server refused of its objects.

        Raises:
            Conflict: the pool is gone; look again.
            ApiError: the status could not be written.
        """
        previous = self._previous(raw)
        new = self._status(raw, assessment, plan=plan, outcome=outcome, refused=refused, previous=previous)
        if new == previous:
            return
        metadata = raw["metadata"]
        try:
            now = await write_status(
                self._connection,
                POOLS,
                namespace=key.namespace,
                name=key.name,
                uid=metadata["uid"],
                status=new.to_wire(),
            )
        except NotFound as error:  # its deletion was missed
            self._view.remove(POOLS, raw)
            raise Conflict(f"pool {key} is gone") from error
        self._view.put(POOLS, now)
        self._written[metadata["uid"]] = (now["metadata"]["resourceVersion"], new)
        for event in build_events(previous, new):
            _log.info("pool_changed", pool=str(key), reason=event.reason.value, message=event.message)
            self._events.put(event, raw)

    def forget(self, uid: str) -> None:
        """Drop a pool that is gone."""
        self._written.pop(uid, None)

    def _previous(self, raw: RawObject) -> PoolStatus | None:
        """The status as it is in the cluster; read once for each version of the pool."""
        uid, version = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
        known = self._written.get(uid)
        if known is not None and known[0] == version:
            return known[1]
        status: PoolStatus | None = status_of(PoolStatus, raw)
        if status is not None:
            self._written[uid] = (version, status)
        return status

    def _status(
        self,
        raw: RawObject,
        assessment: Assessment,
        *,
        plan: PoolPlan | None,
        outcome: Outcome | None,
        refused: Sequence[str],
        previous: PoolStatus | None,
    ) -> PoolStatus:
        now_s, generation = time.time(), raw["metadata"]["generation"]
        variants = () if plan is None else plan.pool.spec.variants
        conditions = build_conditions(
            name=raw["metadata"]["name"],
            variants=variants,
            findings=Findings(
                generation=generation,
                violations=assessment.violations,
                notes=assessment.notes,
                waits=assessment.waits,
                apply_error="; ".join(refused) or None,
            ),
            observation=None if outcome is None else outcome.observation,
            previous=() if previous is None else previous.conditions,
            advise=assessment.advise,
            now_s=now_s,
        )
        return build_status(
            previous=previous,
            generation=generation,
            conditions=conditions,
            variants=variants,
            outcome=outcome,
            deployments={} if plan is None else plan.deployments,
            prices={} if plan is None else plan.prices,
            now_s=now_s,
            token_prices=None if plan is None else plan.token_prices,
        )
