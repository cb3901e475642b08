"""One look at one pool: gather, plan, observe, decide, apply, act, and say how it is.

Level-triggered: everything is read anew each time, so any look from any state ends in the same desired state, and a
pool that is as it should be costs no write.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.pool_status import BlockReason
from mixserve.autoscale.decision import decide
from mixserve.autoscale.memory import ScaleMemory
from mixserve.controller.numbers import outcome_of, pool_numbers
from mixserve.status.pool_status import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.observation import PoolObservation
    from mixserve.autoscale.decision import Decision
    from mixserve.controller.acting import Actor
    from mixserve.controller.applying import Applier
    from mixserve.controller.beat import Beat
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.gathering import Gatherer
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.planning import Planner, PoolPlan
    from mixserve.controller.reporting import Reporter
    from mixserve.controller.scraping import Scraper
    from mixserve.controller.telemetry import Telemetry

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)


class RefusedError(Exception):
    """The API server refused objects of the pool; its status says so, and the pool is to be looked at again later."""


@dataclass
class _PoolMemory:
    """What is known of a pool from the last look; lost at a restart, which only delays shrinking.

    Attributes:
        uid: of the pool; another one of the same name starts anew.
        plan: the last valid one. It stays in force while the spec is invalid: what ran keeps running, and scaling.
            After a restart it is recovered from what was noted on the pool's objects.
        scale: the autoscaler's.
        wrote_replicas: since the last report.
    """

    uid: str
    plan: PoolPlan | None = None
    scale: ScaleMemory = field(default_factory=ScaleMemory)
    wrote_replicas: bool = False


def _is_calm(observation: PoolObservation, decision: Decision) -> bool:
    """Nothing is going on that time alone would bring to its end."""
    pods = [pod for variant in observation.variants for pod in variant.pods]
    return (
        not decision.actions
        and decision.blocked_by in {None, BlockReason.NOT_NATIVE}
        and not any(variant.rolling_out for variant in observation.variants)
        and all(pod.ready and pod.routable for pod in pods)
    )


class Reconciler:
    """Looks at pools, one call per look."""

    def __init__(
        self,
        *,
        view: ClusterView,
        planner: Planner,
        gatherer: Gatherer,
        applier: Applier,
        actor: Actor,
        reporter: Reporter,
        scraper: Scraper,
        beat: Beat,
        telemetry: Telemetry,
    ) -> None:
        self._view = view
        self._planner = planner
        self._gatherer = gatherer
        self._applier = applier
        self._actor = actor
        self._reporter = reporter
        self._scraper = scraper
        self._beat = beat
        self._telemetry = telemetry
        self._memories: dict[PoolKey, _PoolMemory] = {}

    async def reconcile(self, key: PoolKey) -> None:
        """Bring the pool nearer to its spec, or forget it if it is gone.

        Raises:
            RefusedError, ApiError: look again later.
        """
        raw = self._view.pools.get(key)
        if raw is None:
            self._forget(key)
        elif "deletionTimestamp" not in raw["metadata"]:  # else the garbage collector does what is left to do
            await self._look(key, raw)

    async def _look(self, key: PoolKey, raw: RawObject) -> None:
        now_s = time.time()
        memory = self._memory(key, raw)
        assessment = await self._planner.assess(key, raw)
        plan = memory.plan = assessment.plan or memory.plan or await self._planner.recover(raw)
        if plan is None:
            await self._reporter.report(key, raw, assessment, plan=None, outcome=None, refused=())
            return
        self._scraper.endpoints[key] = plan.endpoint
        await self._scraper.scrape_new(key)
        observation = await self._gatherer.observe(key, plan, now_s=now_s)
        decision, memory.scale = decide(plan.pool.spec, observation, memory.scale, plan.priors)
        applied = await self._applier.apply(key, plan, decision)
        if assessment.plan is not None:
            await self._applier.prune(key, plan)
        if applied.changed:  # perhaps a rollout began, in which nothing shrinks
            observation = await self._gatherer.observe(key, plan, now_s=now_s)
            decision, memory.scale = decide(plan.pool.spec, observation, memory.scale, plan.priors)
        wrote = await self._actor.act(key, decision.actions, deployments=plan.deployments, now_s=now_s)
        self._count(key, observation, decision)
        if decision.actions:
            observation = await self._gatherer.observe(key, plan, now_s=now_s)
        memory.wrote_replicas |= wrote or applied.made_deployment
        # A Deployment that was just made is about to say how it does, and is looked at again: one status then, not two.
        if not applied.made_deployment or applied.errors:
            outcome = Outcome(observation, decision, replicas_written=memory.wrote_replicas)
            await self._reporter.report(key, raw, assessment, plan=plan, outcome=outcome, refused=applied.errors)
            memory.wrote_replicas = False
        # What was refused is tried again after pauses that grow, not at every beat.
        settled = (applied.errors or not applied.changed) and _is_calm(observation, decision)
        self._beat.looked(key, observation, settled=bool(settled))
        if applied.errors:
            raise RefusedError("; ".join(applied.errors))

    def _count(self, key: PoolKey, observation: PoolObservation, decision: Decision) -> None:
        self._telemetry.pools.put(key, pool_numbers(observation, decision))
        self._telemetry.decisions.labels(outcome_of(decision)).inc()

    def _memory(self, key: PoolKey, raw: RawObject) -> _PoolMemory:
        uid = raw["metadata"]["uid"]
        if key not in self._memories or self._memories[key].uid != uid:
            self._memories[key] = _PoolMemory(uid)
        return self._memories[key]

    def _forget(self, key: PoolKey) -> None:
        if self._memories.pop(key, None) is None:  # what belonged to the pool goes after it, one by one
            return
        self._planner.forget(key)
        self._scraper.endpoints.pop(key, None)
        self._beat.forget(key)
        self._applier.forget(key)
        self._telemetry.pools.drop(key)
        _log.info("pool_gone", pool=str(key))
