from dataclasses import replace

import pytest

from mixserve.api.observation import Missing, MissingReason, PodObservation, PodProblem, PoolObservation, Trouble
from mixserve.api.pool import AutoscalingMode, LLMServingPoolSpec
from mixserve.api.pool_status import BlockReason, LearnedCapacity, PoolStatus, VariantStatus
from mixserve.autoscale.actions import Drain, Restore, SetReplicas
from mixserve.autoscale.decision import Decision, decide
from mixserve.autoscale.demand import TermName
from mixserve.autoscale.memory import ScaleMemory, Wish, recall
from support.pools import NOW_S, SILENT, bounds, later, pod, pool, sample, seen, starting, variant

TROUBLE = Trouble(PodProblem.UNSCHEDULABLE, "no node")
UNREAD = Missing(MissingReason.NOT_SCRAPED)
PRIORS = {"main": 8.0, "first": 8.0, "last": 4.0}


def decided(
    observation: PoolObservation,
    *,
    spec: LLMServingPoolSpec | None = None,
    memory: ScaleMemory | None = None,
) -> Decision:
    return decide(spec or pool(), observation, memory or ScaleMemory(), PRIORS)[0]


def remembering(size: int = 1, *, since_s: float = NOW_S - 3600, **sizes: int) -> ScaleMemory:
    """A memory in which the load asked for that size for longer than any window of these tests."""
    return ScaleMemory(wishes=(Wish(since_s, sizes or {"main": size}),))


def serving(count: int, running: int = 0, waiting: int = 0, kv: float = 0.0) -> list[PodObservation]:
    return [pod(f"p{i}", sample(running, waiting, kv)) for i in range(count)]


def set_replicas(decision: Decision) -> list[tuple[str, int]]:
    return [(one.variant, one.replicas) for one in decision.actions if isinstance(one, SetReplicas)]


# Growing


def test_a_pool_grows_at_once_to_what_the_load_asks_for() -> None:
    decision = decided(seen(variant(*serving(3, running=8, waiting=9, kv=0.6))))
    assert decision.message == "ScaleUp 3 -> 5 main: running 39/8 = 4.9, kv 2.1"
    assert decision.actions == (SetReplicas("main", 3, 5, decision.message),)
    assert (decision.current, decision.desired, decision.blocked_by) == (3, 5, None)
    assert decision.demand.binding is TermName.RUNNING


def test_starting_pods_count_so_the_same_load_is_answered_once() -> None:
    pods = [*serving(3, running=8, waiting=9), starting("s1"), starting("s2")]
    assert decided(seen(variant(*pods))).actions == ()


def test_replicas_for_which_there_is_no_pod_yet_count() -> None:
    assert decided(seen(variant(*serving(3, running=8, waiting=9), replicas=5))).actions == ()


def test_a_tenth_of_a_replica_is_no_reason_to_grow() -> None:
    assert decided(seen(variant(*serving(1, kv=0.85 * 1.05)))).desired == 1
    assert decided(seen(variant(*serving(1, kv=0.85 * 1.15)))).desired == 2


def test_a_draining_pod_is_restored_when_the_pool_has_to_grow() -> None:
    pods = [*serving(2, running=8, waiting=8), pod("d", sample(3), draining_since_s=NOW_S - 60)]
    decision = decided(seen(variant(*pods)))
    assert decision.message.startswith("ScaleUp 2 -> 3 main")
    assert (decision.actions, decision.blocked_by) == ((Restore("main", ("d",)),), None)


def test_growth_ends_at_the_maximum_and_says_so() -> None:
    decision = decided(seen(variant(*serving(2, running=8, waiting=30))), spec=pool(bounds(1, 4)))
    assert (decision.desired, decision.blocked_by) == (4, BlockReason.AT_MAXIMUM)
    assert decision.message == "ScaleUp 2 -> 4 main: running 68/8 = 8.5, kv 0.0; the maximum is 4"


def test_a_raised_minimum_acts_at_once_and_without_data() -> None:
    decision = decided(seen(variant(pod("a", SILENT))), spec=pool(bounds(3)))
    assert set_replicas(decision) == [("main", 3)]
    assert decision.message.startswith("ScaleUp 1 -> 3 main: minimum 3, running unknown, kv unknown")


def test_load_on_half_of_the_pods_is_enough_to_grow() -> None:
    pods = [pod("a", sample(8, 30)), pod("b", SILENT), pod("c", SILENT)]
    assert decided(seen(variant(*pods))).desired == 5


def test_what_a_replica_carries_is_learned_before_it_is_used() -> None:
    spec, priors = pool(), {"main": 64.0}
    observation = seen(variant(*serving(1, running=8, waiting=20)))
    first, memory = decide(spec, observation, ScaleMemory(), priors)
    second, _ = decide(spec, later(observation, 5), memory, priors)
    assert (first.desired, second.desired) == (1, 3)


def test_a_restart_under_load_keeps_the_size_that_was_learned_to_be_needed() -> None:
    """Ten replicas of which each runs all that it carries: without what was learned, one would seem enough."""
    pods = seen(variant(*serving(10, running=11)))
    row = VariantStatus(
        name="main",
        deployment="p-main",
        desired=10,
        replicas=10,
        ready=10,
        learned=LearnedCapacity(requests=11, expected="128.00"),
    )
    memory = recall(PoolStatus(variants=(row,)), now_s=NOW_S)
    for at_s in range(0, 900, 5):
        decision, memory = decide(pool(), later(pods, at_s), memory, {"main": 128.0})
    assert (decision.desired, decision.actions) == (10, ())


def test_a_deployment_that_was_deleted_during_a_restart_comes_back_as_large_as_it_was() -> None:
    row = VariantStatus(name="main", deployment="p-main", desired=7, replicas=7, ready=7)
    memory = recall(PoolStatus(variants=(row,)), now_s=NOW_S)
    decision = decided(seen(variant(replicas=None)), memory=memory)
    assert decision.wanted("main") == 7


# Shrinking


@pytest.mark.parametrize(("for_s", "actions"), [(2399, ()), (2401, (SetReplicas("main", 3, 1, ""),))])
def test_a_pod_that_starts_for_longer_than_any_start_takes_holds_nothing_up(
    for_s: float, actions: tuple[SetReplicas, ...]
) -> None:
    """The start may take 30 min by the spec, and 10 more to get there."""
    late = [replace(starting(name), turned_at_s=NOW_S - for_s) for name in ("s1", "s2")]
    decision = decided(seen(variant(pod("a"), *late)), memory=remembering(1))
    assert tuple(replace(one, reason="") for one in decision.actions if isinstance(one, SetReplicas)) == actions


def test_a_pool_shrinks_to_the_largest_wish_of_the_window() -> None:
    observation = seen(variant(*serving(4)))
    decision = decided(observation, memory=remembering(2))
    assert decision.message == "ScaleDown 4 -> 2 main: minimum 1, running 0/8 = 0.0, kv 0.0"
    assert decision.actions == (Drain("main", ("p0",)),)
    assert (decision.desired, decision.blocked_by) == (2, None)


def test_a_memory_that_does_not_reach_back_a_whole_window_never_shrinks() -> None:
    observation = seen(variant(*serving(4)))
    for memory in (ScaleMemory(), remembering(since_s=NOW_S - 299)):
        decision = decided(observation, memory=memory)
        assert (decision.desired, decision.actions) == (4, ())
        assert decision.blocked_by is BlockReason.STABILIZING
        assert decision.message.endswith("; not fewer before the largest wish of 5m is lower")


def test_a_peak_within_the_window_holds_the_size() -> None:
    memory = remembering(1).with_wish(Wish(NOW_S - 200, {"main": 4}), window_s=300)
    memory = memory.with_wish(Wish(NOW_S - 190, {"main": 1}), window_s=300)
    assert decided(seen(variant(*serving(4))), memory=memory).blocked_by is BlockReason.STABILIZING


def test_without_stabilisation_shrinking_is_at_once() -> None:
    assert decided(seen(variant(*serving(4))), spec=pool(stabilization_s=0)).desired == 1


@pytest.mark.parametrize(
    ("pods", "rolling_out", "reason"),
    [
        ([*serving(4)], True, BlockReason.ROLLOUT),
        ([*serving(3), starting()], False, BlockReason.PODS_STARTING),
        ([*serving(1), *(pod(f"x{i}", SILENT) for i in range(3))], False, BlockReason.METRICS_MISSING),
        ([*(pod(f"x{i}", SILENT) for i in range(4))], False, BlockReason.METRICS_MISSING),
    ],
)
def test_what_keeps_a_pool_from_shrinking(pods: list[PodObservation], rolling_out: bool, reason: BlockReason) -> None:
    decision = decided(seen(variant(*pods, rolling_out=rolling_out)), memory=remembering(1))
    assert (decision.desired, decision.actions, decision.blocked_by) == (4, (), reason)


def test_each_block_says_what_it_means() -> None:
    texts = [
        decided(seen(variant(*serving(4), rolling_out=True)), memory=remembering(1)).message,
        decided(seen(variant(*serving(3), starting())), memory=remembering(1)).message,
        decided(seen(variant(*serving(1), pod("x", SILENT), pod("y", SILENT))), memory=remembering(1)).message,
    ]
    assert [text.split("; ")[1] for text in texts] == [
        "not fewer during a rollout",
        "not fewer until replicas have started",
        "2 of 3 ready replicas have no fresh metrics",
    ]


def test_pods_without_data_count_as_full_when_shrinking() -> None:
    pods = [*serving(3), pod("x", SILENT)]
    decision = decided(seen(variant(*pods)), memory=remembering(1), spec=pool(stabilization_s=0))
    assert decision.desired == 1  # one full pod is one replica
    full = decided(seen(variant(*serving(1, running=8), pod("x", SILENT))), spec=pool(stabilization_s=0))
    assert (full.desired, full.blocked_by) == (2, BlockReason.METRICS_MISSING)


def test_crashing_pods_without_any_ready_one_are_no_reason_to_shrink() -> None:
    pods = [pod(f"x{i}", SILENT, trouble=TROUBLE) for i in range(3)]
    decision = decided(seen(variant(*pods)), memory=remembering(1))
    assert (decision.desired, decision.actions, decision.blocked_by) == (3, (), BlockReason.METRICS_MISSING)
    assert decision.message.endswith("; none is ready")


def test_a_pool_at_its_minimum_that_starts_is_not_limited_by_missing_metrics() -> None:
    decision = decided(seen(variant(starting())))
    assert (decision.blocked_by, decision.message) == (None, "Hold 1: minimum 1, running unknown, kv unknown")


def test_pods_that_were_not_asked_yet_hold_the_size_without_a_complaint() -> None:
    decision = decided(seen(variant(pod("a", UNREAD), pod("b", UNREAD))), memory=remembering(1))
    assert (decision.desired, decision.blocked_by, decision.informed) == (2, None, False)
    assert decided(seen(variant(pod("a", UNREAD), pod("b", SILENT)))).blocked_by is BlockReason.METRICS_MISSING
    assert decided(seen(variant(pod("a", UNREAD), pod("b")))).informed


def test_unschedulable_pods_do_not_freeze_the_pool() -> None:
    pods = [*serving(2), pod("x", SILENT, trouble=TROUBLE), pod("y", SILENT, trouble=TROUBLE)]
    assert set_replicas(decided(seen(variant(*pods)), memory=remembering(2))) == [("main", 2)]


def test_a_drain_in_progress_is_shown_with_what_it_waits_for() -> None:
    pods = [*serving(2, running=8), pod("d", sample(3), draining_since_s=NOW_S - 60)]
    decision = decided(seen(variant(*pods)), memory=remembering(2))
    assert (decision.current, decision.desired, decision.blocked_by) == (2, 2, BlockReason.DRAINING)
    assert decision.message == "Hold 2: running 16/8 = 2.0, kv 0.0; draining 1 main finishing 3 requests"
    assert decision.actions == ()


def test_a_drain_in_a_rollout_waits_for_the_rollout() -> None:
    pods = [*serving(2, running=8), pod("d", draining_since_s=NOW_S - 60)]
    decision = decided(seen(variant(*pods, rolling_out=True)), memory=remembering(2))
    assert (decision.actions, decision.blocked_by) == ((), BlockReason.ROLLOUT)


def test_an_idle_drained_pod_leaves() -> None:
    pods = [*serving(2, running=8), pod("d", draining_since_s=NOW_S - 60)]
    assert set_replicas(decided(seen(variant(*pods)))) == [("main", 2)]


def test_a_lowered_maximum_drains_without_waiting_for_the_window_or_for_data() -> None:
    for pods in (serving(4, running=8), [pod(f"x{i}", SILENT) for i in range(4)]):
        decision = decided(seen(variant(*pods)), spec=pool(bounds(1, 2)))
        assert decision.desired == 2
        assert [type(one) for one in decision.actions] == [Drain]


def test_a_lowered_maximum_waits_for_a_rollout_and_for_starting_pods() -> None:
    rollout = decided(seen(variant(*serving(4), rolling_out=True)), spec=pool(bounds(1, 2)))
    assert (rollout.desired, rollout.actions, rollout.blocked_by) == (2, (), BlockReason.ROLLOUT)
    start = decided(seen(variant(*serving(3), starting())), spec=pool(bounds(1, 2)))
    assert (start.desired, start.actions, start.blocked_by) == (2, (), BlockReason.PODS_STARTING)


# Several variants


def two(*, first: tuple[int, int] = (0, 2), last: tuple[int, int] = (1, 4), **settings: float) -> LLMServingPoolSpec:
    return pool(bounds(*first, name="first"), bounds(*last, name="last"), **settings)  # type: ignore[arg-type]


def test_variants_grow_in_the_order_listed() -> None:
    observation = seen(variant(name="first"), variant(*serving(1, running=4, waiting=24), name="last"))
    decision = decided(observation, spec=two())
    assert set_replicas(decision) == [("first", 2), ("last", 2)]
    assert decision.message.startswith("ScaleUp 1 -> 4 (first 0 -> 2, last 1 -> 2): running 24 = ")
    assert [decision.wanted(name) for name in ("first", "last")] == [2, 2]


def test_variants_shrink_in_reverse() -> None:
    busy = [pod(f"f{i}", sample(8)) for i in range(2)]
    observation = seen(variant(*busy, name="first"), variant(*serving(2), name="last"))
    decision = decided(observation, spec=two(), memory=remembering(first=2, last=1))
    assert decision.actions == (Drain("last", ("p0",)),)
    assert decision.message.startswith("ScaleDown 4 -> 3 last")


def test_a_lowered_maximum_moves_the_load_to_the_next_variant() -> None:
    busy = [pod(f"f{i}", sample(8)) for i in range(2)]
    observation = seen(variant(*busy, name="first"), variant(pod("l", sample(4)), name="last"))
    decision = decided(observation, spec=two(first=(0, 1)))
    assert decision.message.startswith("ScaleUp 3 -> 4 (first 2 -> 1, last 1 -> 3)")
    assert decision.actions == (Drain("first", ("f0",)), SetReplicas("last", 1, 3, decision.message))


def test_moving_between_variants_without_a_change_of_size_is_called_so() -> None:
    busy = [pod(f"f{i}", sample(8)) for i in range(2)]
    observation = seen(variant(*busy, name="first"), variant(pod("l", sample(0)), name="last"))
    decision = decided(observation, spec=two(first=(1, 1), last=(0, 4)))
    assert decision.message.startswith("Rebalance 3 (first 2 -> 1, last 1 -> 2)")


def test_a_variant_waits_with_shrinking_until_enough_others_are_ready() -> None:
    stuck = variant(pod("s", SILENT, trouble=TROUBLE), pod("f", sample(0)), name="first")
    observation = seen(stuck, variant(pod("l", sample(8)), name="last"))
    decision = decided(observation, spec=two(first=(2, 2), last=(0, 4)), memory=remembering(first=2, last=0))
    assert (decision.desired, decision.actions, decision.blocked_by) == (2, (), BlockReason.PODS_STARTING)


# Modes, deployments, labels


@pytest.mark.parametrize("mode", [AutoscalingMode.ADVISORY, AutoscalingMode.EXTERNAL])
def test_other_modes_decide_and_write_nothing(mode: AutoscalingMode) -> None:
    decision = decided(seen(variant(*serving(3, running=8, waiting=9))), spec=pool(mode=mode))
    assert (decision.desired, decision.actions, decision.blocked_by) == (5, (), BlockReason.NOT_NATIVE)
    assert decision.message.endswith(f"; mode {mode.value} writes no replicas")


def test_in_other_modes_a_size_that_fits_is_not_limited_by_the_mode() -> None:
    advisory = pool(mode=AutoscalingMode.ADVISORY)
    assert decided(seen(variant(*serving(1))), spec=advisory).blocked_by is None
    assert decided(seen(variant(*serving(2))), spec=advisory).blocked_by is BlockReason.STABILIZING


def test_a_drain_that_the_mode_ended_is_undone() -> None:
    observation = seen(variant(pod("a"), pod("d", draining_since_s=NOW_S - 60)))
    assert decided(observation, spec=pool(mode=AutoscalingMode.EXTERNAL)).actions == (Restore("main", ("d",)),)


def test_a_label_taken_by_hand_is_given_back() -> None:
    assert decided(seen(variant(pod("a", routable=False)))).actions == (Restore("main", ("a",)),)


def test_a_new_pool_begins_with_its_minimum() -> None:
    decision = decided(seen(variant(replicas=None)), spec=pool(bounds(2)))
    assert (decision.wanted("main"), decision.actions, decision.blocked_by) == (2, (), None)


def test_a_deployment_that_somebody_deleted_comes_back_with_the_size_that_it_had() -> None:
    _, memory = decide(pool(), seen(variant(*serving(4, running=8))), ScaleMemory(), PRIORS)
    assert decided(seen(variant(replicas=None)), memory=memory).wanted("main") == 4


def test_a_deleted_deployment_comes_back_within_the_bounds() -> None:
    decision = decided(seen(variant(replicas=None)), memory=remembering(8), spec=pool(bounds(1, 4)))
    assert (decision.current, decision.desired) == (4, 4)


def test_a_size_that_somebody_wrote_by_hand_is_corrected() -> None:
    observation = seen(variant(*serving(1, running=8, waiting=20)))
    assert set_replicas(decided(observation, memory=remembering(3))) == [("main", 3)]


def test_deciding_twice_about_the_same_gives_the_same() -> None:
    observation = seen(variant(*serving(3, running=8, waiting=9)))
    first, memory = decide(pool(), observation, ScaleMemory(), PRIORS)
    second, again = decide(pool(), observation, memory, PRIORS)
    assert second == first
    assert again == memory


def test_the_wish_that_is_remembered_is_cautious_but_never_more_than_what_is_wanted() -> None:
    _, memory = decide(pool(), seen(variant(*serving(2, running=8, waiting=4))), ScaleMemory(), PRIORS)
    assert memory.wishes == (Wish(NOW_S, {"main": 2}),)


def test_the_observation_has_to_be_about_the_variants_of_the_spec() -> None:
    with pytest.raises(ValueError, match="zip"):
        decided(replace(seen(variant()), variants=()))
