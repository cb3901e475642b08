from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from mixserve.api.pool import LLMServingPool
from mixserve.autoscale.actions import SetReplicas
from mixserve.controller.applying import Applied
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.planning import Assessment, PoolPlan
from mixserve.controller.reconciling import Reconciler
from mixserve.controller.scraping import MetricsEndpoint
from mixserve.controller.telemetry import Telemetry
from mixserve.engines.protocol import MetricNames
from support.pools import NOW_S, bounds, pod, pool, seen, variant

if TYPE_CHECKING:
    from mixserve.api.observation import PoolObservation
    from mixserve.autoscale.actions import Action
    from mixserve.status.pool_status import Outcome

KEY = PoolKey("ns", "p")


def plan() -> PoolPlan:
    metadata = {"name": "p", "namespace": "ns", "uid": "pool"}
    return PoolPlan(
        pool=LLMServingPool(metadata=metadata, spec=pool(bounds(2))),
        objects=(),
        deployments={"main": "p-main"},
        priors={"main": 8.0},
        prices={},
        endpoint=MetricsEndpoint(port=8000, path="/metrics", names=MetricNames((), (), ())),
    )


@dataclass
class Surroundings:
    """Everything around a reconciler, for one look at one pool.

    Attributes:
        before: what is seen of the pool.
        after: what is seen of it once its objects were applied.
    """

    before: PoolObservation
    after: PoolObservation
    changed: bool
    done: list[Action] = field(default_factory=list)
    told: list[Outcome] = field(default_factory=list)

    async def assess(self, *_: Any) -> Assessment:
        return Assessment(advise=lambda _: None, plan=plan())

    async def observe(self, *_: Any, **__: Any) -> PoolObservation:
        return self.before

    async def apply(self, *_: Any) -> Applied:
        self.before = self.after
        return Applied(changed=self.changed, made_deployment=False, errors=())

    async def act(self, _: PoolKey, actions: tuple[Action, ...], **__: Any) -> bool:
        self.done += actions
        return bool(actions)

    async def report(self, *_: Any, outcome: Outcome, **__: Any) -> None:
        self.told.append(outcome)

    async def scrape_new(self, _: PoolKey) -> None:
        pass

    async def prune(self, *_: Any) -> None:
        pass

    def looked(self, *_: Any, **__: Any) -> None:
        pass

    async def look(self) -> None:
        around: Any = self
        self.endpoints: dict[PoolKey, MetricsEndpoint] = {}
        reconciler = Reconciler(
            view=SimpleNamespace(pools={KEY: {"metadata": {"uid": "pool"}}}),  # type: ignore[arg-type]
            planner=around,
            gatherer=around,
            applier=around,
            actor=around,
            reporter=around,
            scraper=around,
            beat=around,
            telemetry=Telemetry(),
        )
        await reconciler.reconcile(KEY)


def drained(*, rolling_out: bool = False) -> PoolObservation:
    """Two replicas serve, a third is drained and idle."""
    pods = (pod("a"), pod("b"), pod("c", draining_since_s=NOW_S - 60))
    return seen(variant(*pods, rolling_out=rolling_out))


async def test_a_drained_replica_goes() -> None:
    around = Surroundings(before=drained(), after=drained(), changed=False)
    await around.look()
    assert [(type(one), one.replicas) for one in around.done if isinstance(one, SetReplicas)] == [(SetReplicas, 2)]


async def test_a_drained_replica_stays_when_the_same_look_begins_a_rollout() -> None:
    around = Surroundings(before=drained(), after=drained(rolling_out=True), changed=True)
    await around.look()
    assert around.done == []
    [outcome] = around.told
    assert outcome.decision.actions == ()
