from mixserve.api.observation import EngineSample, Missing, MissingReason, PodProblem, Trouble, VariantObservation
from mixserve.api.pool import ReplicaRange
from mixserve.autoscale.fleet import FRESH_S, VariantFleet, fresh_sample, is_unread, sort_pods
from support.pools import NOW_S, SILENT, pod, sample, starting, variant

TROUBLE = Trouble(PodProblem.UNSCHEDULABLE, "0/1 nodes are available")


def fleet(observation: VariantObservation, *, drains: bool = True, remembered: int = 0) -> VariantFleet:
    return sort_pods(observation, bounds=ReplicaRange(min=1, max=4), drains=drains, remembered=remembered)


def names(pods: tuple[object, ...]) -> list[str]:
    return [getattr(one, "name", "") for one in pods]


def test_each_live_pod_has_one_part() -> None:
    sorted_pods = fleet(
        variant(
            pod("serves"),
            starting("starts"),
            pod("stuck", SILENT, trouble=TROUBLE),
            pod("drains", draining_since_s=NOW_S),
            pod("goes", terminating=True),
        )
    )
    assert names(sorted_pods.serving) == ["serves"]
    assert names(sorted_pods.starting) == ["starts"]
    assert names(sorted_pods.stuck) == ["stuck"]
    assert names(sorted_pods.draining) == ["drains"]
    assert sorted_pods.unlabelled == ()


def test_draining_pods_are_no_supply_and_starting_ones_are() -> None:
    observation = variant(pod("a"), starting("b"), pod("c", draining_since_s=NOW_S))
    assert fleet(observation).current == 2


def test_a_pod_that_the_replica_set_is_about_to_delete_is_not_subtracted_twice() -> None:
    observation = variant(pod("a"), pod("b"), pod("c", draining_since_s=NOW_S), replicas=2)
    assert fleet(observation).current == 2
    assert fleet(observation).leaving_drained == 1


def test_stuck_pods_leave_before_draining_ones() -> None:
    stuck = pod("b", SILENT, trouble=TROUBLE)
    observation = variant(pod("a"), stuck, pod("c", draining_since_s=NOW_S), replicas=2)
    assert fleet(observation).leaving_drained == 0
    assert fleet(observation).idle_slots == 0
    assert fleet(observation).current == 1


def test_stuck_pods_and_pods_that_can_not_be_created_may_go_without_a_drain() -> None:
    assert fleet(variant(pod("a"), pod("b", SILENT, trouble=TROUBLE), replicas=4)).idle_slots == 3


def test_without_a_drain_a_pod_that_lost_its_label_is_supply_and_gets_it_back() -> None:
    by_hand = fleet(variant(pod("a", routable=False)))
    assert names(by_hand.unlabelled) == names(by_hand.serving) == ["a"]
    assert by_hand.current == 1


def test_where_nobody_drains_a_draining_pod_gets_its_label_back() -> None:
    observation = variant(pod("a"), pod("b", draining_since_s=NOW_S))
    assert names(fleet(observation, drains=False).unlabelled) == ["b"]
    assert fleet(observation, drains=False).current == 2


def test_a_missing_deployment_counts_as_it_was() -> None:
    assert fleet(variant(replicas=None), remembered=3).current == 3
    assert fleet(variant(replicas=None), remembered=3).idle_slots == 0


def test_the_held_size_is_within_the_bounds() -> None:
    assert fleet(variant(replicas=0)).held == 1
    assert fleet(variant(replicas=9)).held == 4


def test_a_sample_is_fresh_for_fifteen_seconds() -> None:
    old = pod(signals=sample(3, at_s=NOW_S - FRESH_S))
    assert fresh_sample(old, NOW_S) == EngineSample(NOW_S - FRESH_S, 3, 0, 0.0)
    assert fresh_sample(old, NOW_S + 0.1) is None
    assert fresh_sample(pod(signals=SILENT), NOW_S) is None


def test_a_pod_that_was_not_asked_yet_differs_from_one_that_does_not_answer() -> None:
    assert is_unread(pod(signals=Missing(MissingReason.NOT_SCRAPED)))
    assert not is_unread(pod(signals=SILENT))
    assert not is_unread(pod())
