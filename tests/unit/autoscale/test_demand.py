import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.observation import EngineSample, Missing, MissingReason, PodProblem, Trouble, VariantObservation
from mixserve.api.pool import AutoscalingTargets, ReplicaRange
from mixserve.autoscale.demand import Demand, Load, Term, TermName, demand, read_load
from mixserve.autoscale.fleet import VariantFleet, sort_pods
from mixserve.autoscale.ladder import build_ladder
from support.pools import NOW_S, SILENT, pod, sample, starting, variant

TARGETS = AutoscalingTargets(waiting_requests_per_replica=4, kv_cache_usage_percent=80)
UNREAD = Missing(MissingReason.NOT_SCRAPED)


def fleets(*observations: VariantObservation, minimum: int = 1, maximum: int = 50) -> list[VariantFleet]:
    bounds = ReplicaRange(min=minimum, max=maximum)
    return [sort_pods(one, bounds=bounds, drains=True, remembered=0) for one in observations]


def load_of(*observations: VariantObservation, capacities: dict[str, float] | None = None) -> Load:
    return read_load(fleets=fleets(*observations), capacities=capacities or {"main": 8.0}, targets=TARGETS, now_s=NOW_S)


def demand_of(
    *observations: VariantObservation, minimum: int = 1, capacities: dict[str, float] | None = None
) -> Demand:
    capacities = capacities or {"main": 8.0}
    all_fleets = fleets(*observations, minimum=minimum)
    load = read_load(fleets=all_fleets, capacities=capacities, targets=TARGETS, now_s=NOW_S)
    return demand(load, ladder=build_ladder(all_fleets, capacities), capacities=capacities, targets=TARGETS)


def term(asked: Demand, name: TermName) -> Term:
    return next(one for one in asked.terms if one.name is name)


def test_running_and_what_waits_beyond_the_target_count() -> None:
    asked = demand_of(variant(pod("a", sample(8, 10)), pod("b", sample(8, 6))))
    assert term(asked, TermName.RUNNING) == Term(
        name=TermName.RUNNING,
        replicas=(16 + 16 - 2 * 4) / 8,
        detail="16 running and 8 waiting beyond the target; requests that a replica carries: main 8",
        formula="24/8 = 3.0",
    )
    assert asked.binding is TermName.RUNNING
    assert asked.replicas == 3.0


def test_what_a_replica_carries_is_rounded_for_people() -> None:
    asked = demand_of(variant(pod("a", sample(8))), capacities={"main": 37.458333})
    assert term(asked, TermName.RUNNING).formula == "8/37.5 = 0.2"


def test_few_waiting_requests_do_not_make_the_load_smaller() -> None:
    assert load_of(variant(pod("a", sample(8, 1)))).running_work == 8


def test_kv_cache_usage_counts_against_its_target() -> None:
    asked = demand_of(variant(pod("a", sample(1, kv=0.9)), pod("b", sample(1, kv=0.7))))
    assert term(asked, TermName.KV_CACHE).replicas == pytest.approx(2.0)
    assert term(asked, TermName.KV_CACHE).formula == "2.0"
    assert "2.00 at the target of 80 %" in term(asked, TermName.KV_CACHE).detail
    assert asked.binding is TermName.KV_CACHE


def test_the_minimum_binds_when_the_load_is_small_and_wins_a_tie() -> None:
    assert demand_of(variant(pod("a", sample(3)))).binding is TermName.MINIMUM
    assert demand_of(variant(pod("a", sample(8)))).binding is TermName.MINIMUM
    assert demand_of(variant(pod("a", sample(3))), minimum=2).replicas == 2.0


def test_over_several_variants_both_terms_count_work_in_requests() -> None:
    asked = demand_of(
        variant(pod("a", sample(8, kv=0.8)), name="big"),
        variant(pod("b", sample(2, kv=0.4)), name="small"),
        capacities={"big": 8.0, "small": 2.0},
    )
    # The minimum of each carries 8 and 2; KV usage is worth 8 * 1 and 2 * 0.5 requests.
    assert term(asked, TermName.RUNNING).replicas == pytest.approx(2.0)
    assert term(asked, TermName.RUNNING).formula == "10 = 2.0"
    assert term(asked, TermName.RUNNING).detail.endswith("carries: big 8, small 2")
    assert term(asked, TermName.KV_CACHE).replicas == pytest.approx(1.5)


def test_a_pod_without_fresh_data_adds_nothing_to_growing_and_counts_as_full_for_shrinking() -> None:
    load = load_of(variant(pod("a", sample(3)), pod("b", SILENT), pod("c", sample(5, at_s=NOW_S - 16))))
    assert load.growing == 3
    assert load.shrinking == 3 + 2 * 8
    assert (load.ready, load.unknown, load.unread, load.blind, load.mostly_unknown) == (3, 2, 0, False, True)


def test_the_allowance_for_waiting_is_that_of_pods_with_data() -> None:
    assert load_of(variant(pod("a", sample(8, 10)), pod("b", SILENT))).excess_waiting == 6


def test_half_without_data_is_not_mostly_unknown() -> None:
    assert not load_of(variant(pod("a"), pod("b", SILENT))).mostly_unknown


def test_shrinking_counts_every_waiting_request() -> None:
    load = load_of(variant(pod("a", sample(3, 4))))
    assert (load.growing, load.shrinking) == (3, 7)


def test_requests_of_draining_pods_count_only_for_shrinking() -> None:
    load = load_of(
        variant(
            pod("a", sample(3, kv=0.1)),
            pod("b", sample(4, kv=0.8), draining_since_s=NOW_S - 9),
            pod("c", SILENT, draining_since_s=NOW_S - 9),
        )
    )
    assert load.growing == 3
    assert load.shrinking == pytest.approx(8 * (0.9 / 0.8 + 1))
    assert (load.ready, load.unknown) == (1, 0)


def test_a_pod_whose_readiness_fails_under_load_still_shows_its_load() -> None:
    load = load_of(variant(pod("a", sample(8, 20), ready=False)))
    assert load.growing == 28
    assert not load.blind


def test_a_crashed_pods_last_fresh_sample_counts() -> None:
    crashed = pod("a", sample(2), trouble=Trouble(PodProblem.CRASHING, "exit code 1"))
    assert load_of(variant(crashed)).growing == 2


def test_terminating_pods_do_not_count() -> None:
    load = load_of(variant(pod("a", sample(3)), pod("b", sample(5), terminating=True)))
    assert (load.growing, load.shrinking) == (3, 3)


def test_pods_that_were_not_asked_yet_are_unknown_and_unread() -> None:
    load = load_of(variant(pod("a", UNREAD), pod("b", SILENT)))
    assert (load.unknown, load.unread, load.blind) == (2, 1, True)


def test_without_any_data_the_terms_are_unknown_and_the_minimum_is_left() -> None:
    silent = demand_of(variant(pod("a", SILENT), pod("b", SILENT)))
    assert term(silent, TermName.RUNNING).replicas is None
    assert term(silent, TermName.KV_CACHE).replicas is None
    assert term(silent, TermName.RUNNING).detail == "no fresh data from 2 ready replicas"
    assert (silent.binding, silent.replicas) == (TermName.MINIMUM, 1.0)
    assert term(demand_of(variant(starting())), TermName.KV_CACHE).detail == "no replica is ready"


samples = st.one_of(
    st.just(SILENT),
    st.builds(EngineSample, st.just(NOW_S), st.integers(0, 300), st.integers(0, 300), st.floats(0, 1)),
)


@given(signals=st.lists(samples, max_size=12), draining=st.lists(samples, max_size=3))
def test_what_shrinking_counts_is_never_less_than_what_growing_counts(
    signals: list[EngineSample | Missing], draining: list[EngineSample | Missing]
) -> None:
    pods = [pod(f"p{i}", one) for i, one in enumerate(signals)]
    gone = [pod(f"d{i}", one, draining_since_s=NOW_S) for i, one in enumerate(draining)]
    load = load_of(variant(*pods, *gone))
    assert load.shrinking >= load.growing - 1e-9


@given(signals=st.lists(samples, min_size=1, max_size=12), lost=st.integers(0, 11))
def test_losing_a_pods_data_never_raises_growing_or_lowers_what_shrinking_needs_below_it(
    signals: list[EngineSample | Missing], lost: int
) -> None:
    full = [s for s in signals if isinstance(s, Missing) or (s.running <= 8 and s.waiting == 0)]
    before = [pod(f"p{i}", one) for i, one in enumerate(full)]
    after = [pod(f"p{i}", SILENT if i == lost else one) for i, one in enumerate(full)]
    assert load_of(variant(*after)).growing <= load_of(variant(*before)).growing + 1e-9
