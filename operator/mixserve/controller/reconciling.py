"""One look at one pool: gather, plan, observe, decide, apply, act, and say how it is.

Level-triggered: everything is read anew each time, so any look from any state ends in the same desired state, and a
pool that is as it should be costs no write.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.pool_status import BlockReason, PoolStatus
from mixserve.autoscale.decision import decide
from mixserve.autoscale.memory import recall
from mixserve.controller.numbers import outcome_of, pool_numbers
from mixserve.controller.parsed_specs import status_of
from mixserve.controller.refusals import Refusals
from mixserve.status.pool_status import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.observation import PoolObservation
    from mixserve.autoscale.decision import Decision
    from mixserve.autoscale.memory import ScaleMemory
    from mixserve.controller.acting import Actor
    from mixserve.controller.applying import Applier
    from mixserve.controller.beat import Beat
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.gathering import Gatherer
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.planning import Planner
    from mixserve.controller.pool_plan import Assessment, PoolPlan
    from mixserve.controller.reporting import Reporter
    from mixserve.controller.scraping import Scraper
    from mixserve.controller.telemetry import Telemetry

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)


# Blocked by these, a pool is decided about in the same way until its engines say something else, or its spec does.
_LASTING_BLOCKS = frozenset({None, BlockReason.NOT_NATIVE, BlockReason.METRICS_MISSING})

# An error that passes by itself is no news the first time.
_LOOKS_UNTIL_TOLD = 3


@dataclass(frozen=True)
class _Look:
    """What was seen, and what was decided about it."""

    observation: PoolObservation
    decision: Decision


@dataclass
class _PoolMemory:
    """What is known of a pool from the last look.

    A restart loses it; what must not be lost is noted in the cluster: the plan on the pool's objects, what was learned
    and wanted in its status. The rest only delays shrinking.

    Attributes:
        uid: of the pool; another one of the same name starts anew.
        scale: the autoscaler's.
        plan: the last valid one. It stays in force while the spec is invalid: what ran keeps running, and scaling.
        wrote_replicas: since the last report.
        failed_looks: in a row, for a reason that should have passed.
    """

    uid: str
    scale: ScaleMemory
    plan: PoolPlan | None = None
    wrote_replicas: bool = False
    failed_looks: int = 0

    def take(self, refusals: Refusals, *, wrote_replicas: bool) -> None:
        """Remember how a look went."""
        self.wrote_replicas |= wrote_replicas
        self.failed_looks = 0 if refusals.passing is None else self.failed_looks + 1

    def told(self, refusals: Refusals) -> Sequence[str]:
        """What people should know of it: what lasts, and what should have passed by now."""
        if refusals.passing is None or self.failed_looks < _LOOKS_UNTIL_TOLD:
            return refusals.lasting
        return [*refusals.lasting, str(refusals.passing)]


def _is_calm(look: _Look) -> bool:
    """Nothing is going on that time alone would bring to its end."""
    pods = [pod for variant in look.observation.variants for pod in variant.pods]
    return (
        not look.decision.actions
        and look.decision.blocked_by in _LASTING_BLOCKS
        and not any(variant.rolling_out for variant in look.observation.variants)
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
        memory, refusals = self._memory(key, raw), Refusals()
        assessment = await self._planner.assess(key, raw)
        plan = memory.plan = assessment.plan or memory.plan or await self._planner.recover(raw)
        if plan is None:
            await self._reporter.report(key, raw, assessment, plan=None, outcome=None, refused=())
            return
        self._scraper.endpoints[key] = plan.endpoint
        await self._scraper.scrape_new(key)
        look = await self._decide(key, plan, memory)
        applied = await self._applier.apply(key, plan, look.decision, refusals)
        if applied.changed:  # perhaps a rollout began, in which nothing shrinks
            look = await self._decide(key, plan, memory)
        if assessment.plan is not None:
            await self._applier.prune(key, plan, refusals, observation=look.observation)
        wrote = await self._actor.act(
            key,
            look.decision.actions,
            deployments=plan.deployments,
            refusals=refusals,
            now_s=look.observation.now_s,
        )
        memory.take(refusals, wrote_replicas=wrote or applied.made_deployment)
        self._count(key, look)
        # A Deployment that was just made is about to say how it does, and is looked at again: one status then, not two.
        if not applied.made_deployment or refusals.lasting:
            await self._report(key, raw, assessment, look, refusals=memory.told(refusals))
        # What was refused for good is tried again after pauses that grow, not at every beat.
        settled = bool(refusals.lasting) or (not applied.changed and refusals.passing is None)
        self._beat.looked(key, look.observation, settled=settled and _is_calm(look))
        refusals.ensure_none()

    async def _decide(self, key: PoolKey, plan: PoolPlan, memory: _PoolMemory) -> _Look:
        observation = await self._gatherer.observe(key, plan, now_s=time.time())
        decision, memory.scale = decide(plan.pool.spec, observation, memory.scale, plan.priors)
        return _Look(observation, decision)

    async def _report(
        self,
        key: PoolKey,
        raw: RawObject,
        assessment: Assessment,
        look: _Look,
        *,
        refusals: Sequence[str],
    ) -> None:
        memory, observation = self._memories[key], look.observation
        plan = memory.plan
        if plan is not None and look.decision.actions:
            observation = await self._gatherer.observe(key, plan, now_s=observation.now_s)
        outcome = Outcome(
            observation,
            look.decision,
            replicas_written=memory.wrote_replicas,
            learned=memory.scale.learned,
        )
        await self._reporter.report(key, raw, assessment, plan=plan, outcome=outcome, refused=refusals)
        memory.wrote_replicas = False

    def _count(self, key: PoolKey, look: _Look) -> None:
        self._telemetry.pools.put(key, pool_numbers(look.observation, look.decision))
        self._telemetry.decisions.labels(outcome_of(look.decision)).inc()

    def _memory(self, key: PoolKey, raw: RawObject) -> _PoolMemory:
        uid = raw["metadata"]["uid"]
        if key not in self._memories or self._memories[key].uid != uid:
            self._memories[key] = _PoolMemory(uid, recall(status_of(PoolStatus, raw), now_s=time.time()))
        return self._memories[key]

    def _forget(self, key: PoolKey) -> None:
        if self._memories.pop(key, None) is None:  # what belonged to the pool goes after it, one by one
            return
        self._planner.forget(key)
        self._scraper.endpoints.pop(key, None)
        self._beat.forget(key)
        self._telemetry.pools.drop(key)
        _log.info("pool_gone", pool=str(key))
