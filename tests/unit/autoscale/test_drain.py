import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.observation import PodObservation, PodProblem, Trouble, VariantObservation
from mixserve.api.pool import ReplicaRange
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.autoscale.drain import DrainRules, remaining_requests, restore_labels, steer
from mixserve.autoscale.fleet import VariantFleet, sort_pods
from support.pools import NOW_S, SILENT, pod, sample, starting, variant

TROUBLE = Trouble(PodProblem.CRASHING, "exit code 1")
LONG_AGO_S = NOW_S - 60


def fleet(observation: VariantObservation, *, maximum: int = 50) -> VariantFleet:
    return sort_pods(observation, bounds=ReplicaRange(min=0, max=maximum), drains=True, remembered=2)


def act(
    *observations: VariantObservation,
    wanted: int | dict[str, int],
    maximum: int = 50,
    may_finish: bool = True,
    drain_timeout_s: float = 600,
) -> list[Action]:
    sizes = {"main": wanted} if isinstance(wanted, int) else wanted
    rules = DrainRules(now_s=NOW_S, drain_timeout_s=drain_timeout_s, may_finish=may_finish)
    fleets = [fleet(one, maximum=maximum) for one in observations]
    return list(steer(fleets, wanted=sizes, reason="because", rules=rules))


def drained(name: str = "d", running: int = 0, waiting: int = 0, *, at_s: float = NOW_S) -> PodObservation:
    return pod(name, sample(running, waiting, at_s=at_s), draining_since_s=LONG_AGO_S)


def serving(count: int) -> list[PodObservation]:
    return [pod(f"p{i}", sample(3)) for i in range(count)]


def set_replicas(seen: int, replicas: int, reason: str = "because") -> SetReplicas:
    return SetReplicas(variant="main", seen=seen, replicas=replicas, reason=reason)


DONE = "1 drained replicas of main are idle or out of time"


def test_at_the_wanted_size_there_is_nothing_to_do() -> None:
    assert act(variant(*serving(3)), wanted=3) == []


def test_growing_writes_the_size() -> None:
    assert act(variant(*serving(3)), wanted=5) == [set_replicas(3, 5)]


def test_growing_is_possible_during_a_rollout_and_while_pods_start() -> None:
    assert act(variant(*serving(2), starting(), rolling_out=True), wanted=5) == [set_replicas(3, 5)]


def test_a_draining_pod_is_restored_before_a_new_one_is_started() -> None:
    observation = variant(*serving(2), drained(running=4))
    assert act(observation, wanted=3) == [Restore("main", ("d",))]
    assert act(observation, wanted=4) == [Restore("main", ("d",)), set_replicas(3, 4)]


def test_of_draining_pods_a_ready_one_is_restored_first_then_the_one_that_began_last() -> None:
    broken = pod("x", SILENT, draining_since_s=NOW_S - 1, trouble=TROUBLE)
    early, late = drained("early"), pod("late", draining_since_s=NOW_S - 2)
    assert act(variant(*serving(1), broken, early, late), wanted=2) == [Restore("main", ("late",))]
    assert act(variant(*serving(1), broken, early, late), wanted=3) == [Restore("main", ("late", "early"))]


def test_a_pod_that_is_about_to_be_deleted_is_not_restored() -> None:
    assert act(variant(*serving(2), drained(), replicas=2), wanted=3) == [set_replicas(2, 3)]


def test_shrinking_first_drains_the_least_loaded_and_of_those_the_youngest() -> None:
    old = pod("old", sample(1), created_at_s=NOW_S - 900)
    young = pod("young", sample(0, 1), created_at_s=NOW_S - 90)
    observation = variant(pod("a", sample(5)), old, young, pod("unknown", SILENT))
    assert act(observation, wanted=3) == [Drain("main", ("young",))]


def test_an_unknown_load_drains_last() -> None:
    assert act(variant(pod("unknown", SILENT), pod("busy", sample(50))), wanted=1) == [Drain("main", ("busy",))]


def test_at_most_a_fifth_drains_at_a_time() -> None:
    assert [len(one.pods) for one in act(variant(*serving(11)), wanted=1) if isinstance(one, Drain)] == [3]
    assert act(variant(*serving(4), drained(running=1)), wanted=1) == []


def test_a_draining_pod_goes_when_it_is_idle() -> None:
    assert act(variant(*serving(2), drained(running=1)), wanted=2) == []
    assert act(variant(*serving(2), drained(waiting=1)), wanted=2) == []
    assert act(variant(*serving(2), drained()), wanted=2) == [set_replicas(3, 2, DONE)]


def test_idle_counts_only_after_clients_can_have_noticed() -> None:
    early = pod("d", sample(at_s=NOW_S - 1), draining_since_s=NOW_S - 5)
    assert act(variant(*serving(2), early), wanted=2) == []
    enough = pod("d", sample(at_s=NOW_S), draining_since_s=NOW_S - 5)
    assert act(variant(*serving(2), enough), wanted=2) == [set_replicas(3, 2, DONE)]


def test_a_draining_pod_goes_when_its_time_is_over_whatever_it_says() -> None:
    for signals in (sample(9), SILENT):
        late = pod("d", signals, draining_since_s=LONG_AGO_S)
        assert act(variant(*serving(2), late), wanted=2) == []
        assert act(variant(*serving(2), late), wanted=2, drain_timeout_s=60) == [set_replicas(3, 2, DONE)]


def test_a_draining_pod_that_crashed_goes_at_once() -> None:
    crashed = pod("d", SILENT, draining_since_s=NOW_S, trouble=TROUBLE)
    assert act(variant(*serving(2), crashed), wanted=2) == [set_replicas(3, 2, DONE)]


def test_a_pod_that_the_size_no_longer_pays_for_is_not_subtracted_again() -> None:
    assert act(variant(*serving(2), drained(), replicas=2), wanted=2) == []


@pytest.mark.parametrize("rolling_out", [True, False])
def test_nothing_shrinks_during_a_rollout_or_while_a_pod_of_the_variant_starts(rolling_out: bool) -> None:
    more = () if rolling_out else (starting(),)
    observation = variant(*serving(3), drained(), *more, rolling_out=rolling_out)
    assert act(observation, wanted=2) == []
    assert act(observation, wanted=3 + len(more)) == []


def test_without_enough_data_drained_pods_stay_unless_the_size_is_above_the_maximum() -> None:
    observation = variant(*serving(2), drained())
    assert act(observation, wanted=2, may_finish=False) == []
    assert act(observation, wanted=2, may_finish=False, maximum=2) == [set_replicas(3, 2, DONE)]


def test_stuck_pods_go_without_a_drain_and_before_ready_ones() -> None:
    observation = variant(*serving(3), pod("s", SILENT, trouble=TROUBLE))
    assert act(observation, wanted=3) == [set_replicas(4, 3)]
    assert act(observation, wanted=2) == [Drain("main", ("p0",)), set_replicas(4, 3)]


def test_where_stuck_pods_are_enough_no_ready_one_goes() -> None:
    first = variant(*(pod(f"f{i}") for i in range(6)), pod("s", SILENT, trouble=TROUBLE), name="first")
    last = variant(*(pod(f"l{i}") for i in range(6)), name="last", rolling_out=True)
    assert act(first, last, wanted={"first": 6, "last": 5}) == [SetReplicas("first", 7, 6, "because")]


def test_replicas_without_a_pod_go_without_a_drain() -> None:
    assert act(variant(*serving(3), replicas=5), wanted=4) == [set_replicas(5, 4)]


def test_a_ready_pod_goes_only_when_enough_ready_ones_remain() -> None:
    new = variant(starting("n"), name="new")
    old = variant(pod("o"), name="old")
    assert act(new, old, wanted={"new": 1, "old": 0}) == []
    ready = variant(pod("n"), name="new")
    assert act(ready, old, wanted={"new": 1, "old": 0}) == [Drain("old", ("o",))]


def test_variants_share_what_can_be_spared() -> None:
    first, last = (variant(*(pod(f"{name}{i}") for i in range(6)), name=name) for name in ("first", "last"))
    broken = variant(pod("s", SILENT, trouble=TROUBLE), name="broken")
    sizes = {"first": 5, "broken": 1, "last": 5}
    assert act(first, broken, last, wanted=sizes) == [Drain("last", ("last0",))]


def test_the_last_variant_gives_first() -> None:
    first, last = variant(pod("a"), pod("b"), name="first"), variant(pod("c"), name="last")
    assert act(first, last, wanted={"first": 1, "last": 0}) == [Drain("last", ("c",))]


def test_down_to_a_variants_maximum_ready_pods_go_even_if_others_are_missing() -> None:
    old = variant(pod("o"), pod("p"), name="old")
    new = variant(pod("s", SILENT, trouble=TROUBLE), name="new")
    sizes = {"old": 1, "new": 1}
    assert act(old, new, wanted=sizes) == []
    assert act(old, new, wanted=sizes, maximum=1) == [Drain("old", ("o",))]


def test_a_missing_deployment_is_left_to_whoever_creates_it() -> None:
    assert act(variant(replicas=None), wanted=5) == []
    assert act(variant(pod("orphan"), replicas=None), wanted=0) == []


def test_labels_that_were_lost_without_a_drain_are_given_back() -> None:
    fleets = [fleet(variant(pod("a", routable=False), pod("b"))), fleet(variant(pod("c"), name="other"))]
    assert restore_labels(fleets) == (Restore("main", ("a",)),)


def test_requests_of_draining_pods_are_counted_as_far_as_known() -> None:
    unknown = pod("u", SILENT, draining_since_s=NOW_S)
    assert remaining_requests(fleet(variant(pod("a", sample(9)), drained(running=2, waiting=1), unknown)), NOW_S) == 3


pods = st.lists(
    st.sampled_from(
        [
            lambda n: pod(n, sample(3)),
            lambda n: pod(n, SILENT),
            starting,
            lambda n: pod(n, SILENT, trouble=TROUBLE),
            drained,
            lambda n: drained(n, 2),
            lambda n: pod(n, terminating=True),
        ]
    ),
    max_size=14,
)


@given(made=pods, extra=st.integers(-3, 3), wanted=st.integers(0, 14), rolling_out=st.booleans())
def test_never_more_goes_than_is_too_much(made: list[object], extra: int, wanted: int, rolling_out: bool) -> None:
    all_pods = [make(f"p{i}") for i, make in enumerate(made)]  # type: ignore[operator]
    live = sum(not one.terminating for one in all_pods)
    observation = variant(*all_pods, replicas=max(0, live + extra), rolling_out=rolling_out)
    sorted_pods = fleet(observation)
    actions = act(observation, wanted=wanted)
    sizes = [one for one in actions if isinstance(one, SetReplicas)]
    victims = [name for one in actions if isinstance(one, Drain) for name in one.pods]
    undrained = sum(max(0, one.seen - one.replicas) for one in sizes) - len(sorted_pods.draining)
    assert len(victims) + max(0, undrained) <= max(0, sorted_pods.current - wanted)
    assert set(victims) <= {one.name for one in sorted_pods.serving}
    assert not victims or len(sorted_pods.serving) - len(victims) >= wanted
    assert all(one.replicas >= 0 for one in sizes)
