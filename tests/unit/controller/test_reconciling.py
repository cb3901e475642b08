from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.pool import LLMServingPool
from mixserve.apply.errors import ApiError, Rejected, Terminating, Unavailable
from mixserve.autoscale.actions import SetReplicas
from mixserve.controller.applying import Applied
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.pool_plan import Assessment, PoolPlan
from mixserve.controller.reconciling import Reconciler
from mixserve.controller.refusals import Refusals, RefusedError
from mixserve.controller.scraping import MetricsEndpoint
from mixserve.controller.telemetry import Telemetry
from support.metrics_pages import GAUGES
from support.pools import NOW_S, bounds, pod, pool, seen, variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.api.observation import PoolObservation
    from mixserve.autoscale.actions import Action
    from mixserve.autoscale.decision import Decision
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
        endpoint=MetricsEndpoint(port=8000, page=GAUGES),
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
    made_deployment: bool = False
    errors: tuple[ApiError, ...] = ()
    plan: PoolPlan | None = field(default_factory=plan)
    recovered: PoolPlan | None = None
    pool: dict[str, Any] | None = field(default_factory=lambda: {"metadata": {"uid": "pool"}})
    done: list[Action] = field(default_factory=list)
    told: list[Outcome | None] = field(default_factory=list)
    settled: list[bool] = field(default_factory=list)
    pruned: list[PoolObservation] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    forgotten: int = 0

    def __post_init__(self) -> None:
        around: Any = self
        self.endpoints: dict[PoolKey, MetricsEndpoint] = {}
        self.reconciler = Reconciler(
            view=SimpleNamespace(pools=SimpleNamespace(get=lambda _: self.pool)),  # type: ignore[arg-type]
            planner=around,
            gatherer=around,
            applier=around,
            actor=around,
            reporter=around,
            scraper=around,
            beat=around,
            telemetry=Telemetry(),
        )

    async def assess(self, *_: Any) -> Assessment:
        return Assessment(advise=lambda _: None, plan=self.plan)

    async def recover(self, _: Any) -> PoolPlan | None:
        return self.recovered

    async def observe(self, *_: Any, **__: Any) -> PoolObservation:
        return self.before

    async def apply(self, _: PoolKey, __: PoolPlan, ___: Decision, refusals: Refusals) -> Applied:
        self.before = self.after
        for error in self.errors:
            refusals.take("Service p", error)
        return Applied(changed=self.changed, made_deployment=self.made_deployment)

    async def act(self, _: PoolKey, actions: tuple[Action, ...], **__: Any) -> bool:
        self.done += actions
        return bool(actions)

    async def report(self, *_: Any, outcome: Outcome | None, refused: Sequence[str], **__: Any) -> None:
        self.told.append(outcome)
        self.refused = list(refused)

    async def scrape_new(self, _: PoolKey) -> None:
        pass

    async def prune(self, *_: Any, observation: PoolObservation) -> None:
        self.pruned.append(observation)

    def looked(self, *_: Any, settled: bool) -> None:
        self.settled.append(settled)

    def forget(self, _: PoolKey) -> None:
        self.forgotten += 1

    async def look(self) -> None:
        await self.reconciler.reconcile(KEY)


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
    assert outcome is not None
    assert outcome.decision.actions == ()


def steady(**changes: Any) -> Surroundings:
    """Two replicas that have nothing to do."""
    observation = seen(variant(pod("a"), pod("b")))
    return Surroundings(before=observation, after=observation, **{"changed": False, **changes})


async def test_a_pool_that_has_nothing_to_do_settles() -> None:
    around = steady()
    await around.look()
    assert (around.settled, around.done, len(around.told)) == ([True], [], 1)


async def test_a_new_pool_is_reported_when_its_deployment_has_something_to_say() -> None:
    around = steady(changed=True, made_deployment=True)
    await around.look()
    assert (around.told, around.settled) == ([], [False])

    around.changed, around.made_deployment = False, False
    await around.look()
    await around.look()
    first, second = around.told
    assert first is not None
    assert second is not None
    assert (first.replicas_written, second.replicas_written) == (True, False)


async def test_what_is_refused_is_reported_and_tried_again_later_but_not_at_each_beat() -> None:
    around = steady(changed=True, made_deployment=True, errors=(Rejected("no", status=422),))
    with pytest.raises(RefusedError, match="Service p: no"):
        await around.look()
    assert (len(around.told), around.refused) == (1, ["Service p: no"])
    assert around.settled == [True]


async def test_what_should_pass_holds_nothing_up_and_is_told_when_it_does_not() -> None:
    around = steady(errors=(Unavailable("busy", status=429),))
    around.before = around.after = seen(variant(pod("a")))
    for look in range(1, 4):
        with pytest.raises(Unavailable, match="busy"):
            await around.look()
        assert len(around.done) == look
        assert around.refused == (["busy"] if look == 3 else [])
    around.errors = ()
    await around.look()
    assert around.refused == []


async def test_in_a_namespace_that_goes_nothing_more_is_tried() -> None:
    around = steady(errors=(Terminating("going", status=403),))
    with pytest.raises(Terminating):
        await around.look()
    assert (around.told, around.done) == ([], [])


async def test_what_the_spec_no_longer_has_goes_by_what_is_seen_once_the_rest_is_applied() -> None:
    around = Surroundings(before=drained(), after=drained(rolling_out=True), changed=True)
    await around.look()
    assert around.pruned == [around.after]


async def test_a_restarted_operator_knows_what_was_learned_and_wanted() -> None:
    row = {"name": "main", "deployment": "p-main", "desired": 5, "replicas": 5, "ready": 5}
    learned = {"requests": 3, "expected": "8.00"}
    around = steady(pool={"metadata": {"uid": "pool"}, "status": {"variants": [{**row, "learned": learned}]}})
    around.before = around.after = seen(variant(replicas=None))
    await around.look()
    [outcome] = around.told
    assert outcome is not None
    assert outcome.decision.wanted("main") == 5
    assert outcome.learned["main"].running == 3


async def test_a_bad_edit_leaves_the_last_good_plan_in_force() -> None:
    around = steady()
    await around.look()
    around.plan = None
    around.before = around.after = seen(variant(pod("a")))
    await around.look()
    assert [type(action) for action in around.done] == [SetReplicas]
    assert around.told[-1] is not None
    assert len(around.pruned) == 1


async def test_after_a_restart_a_bad_spec_leaves_in_force_what_the_objects_were_made_from() -> None:
    around = steady(plan=None, recovered=plan())
    around.before = around.after = seen(variant(pod("a")))
    await around.look()
    assert [type(action) for action in around.done] == [SetReplicas]
    assert around.pruned == []


async def test_a_pool_that_was_never_valid_is_only_reported() -> None:
    around = steady(plan=None)
    await around.look()
    assert (around.told, around.done, around.settled, around.endpoints) == ([None], [], [], {})


async def test_another_pool_of_the_name_starts_anew() -> None:
    around = steady()
    await around.look()
    around.plan, around.pool = None, {"metadata": {"uid": "another"}}
    await around.look()
    assert around.told[-1] is None


async def test_a_pool_that_is_being_deleted_is_left_to_the_garbage_collector() -> None:
    around = steady(pool={"metadata": {"uid": "pool", "deletionTimestamp": "now"}})
    await around.look()
    assert (around.told, around.settled) == ([], [])


async def test_a_pool_that_is_gone_is_forgotten_once() -> None:
    around = steady()
    await around.look()
    around.pool = None
    await around.look()
    await around.look()
    # By planner and beat.
    assert around.forgotten == 2
    assert around.endpoints == {}
