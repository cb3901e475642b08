from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.picking.endpoint import Endpoint
from mixserve.route.picking.weights import MAX_WEIGHT, MEAN_WEIGHT, MIN_WEIGHT, LoadWeights, load_weights
from support.endpoints import NOW_S, address, endpoint, idle_endpoints, silent_endpoint


def weights_of(*endpoints: Endpoint, before: LoadWeights | None = None, times: int = 1) -> dict[int, int]:
    found = before or LoadWeights()
    for _ in range(times):
        found = load_weights(endpoints, before=found, now_s=NOW_S)
    return {int(name.split(":")[0].split(".")[-1]): weight for name, weight in found.weights.items()}


def test_endpoints_with_equal_load_have_the_weight_in_the_middle() -> None:
    assert weights_of(*idle_endpoints(3)) == dict.fromkeys(range(3), MEAN_WEIGHT)


def test_a_busy_endpoint_weighs_less_and_an_idle_one_more() -> None:
    weights = weights_of(endpoint(1, waiting=9), endpoint(2, waiting=4), endpoint(3, waiting=1))
    assert weights[1] < weights[2] < weights[3]


def test_an_endpoint_without_metrics_weighs_as_little_as_the_busiest() -> None:
    weights = weights_of(endpoint(1, waiting=20), silent_endpoint(2), endpoint(3), endpoint(4))
    assert weights[2] == weights[1] < weights[3]


def test_an_endpoint_whose_kv_cache_is_full_weighs_as_little_as_the_busiest() -> None:
    weights = weights_of(endpoint(1, waiting=20), endpoint(2, kv_cache_usage=0.99), endpoint(3), endpoint(4))
    assert weights[2] == weights[1] < weights[3]


def test_without_any_metrics_all_weigh_alike() -> None:
    assert weights_of(silent_endpoint(1), silent_endpoint(2)) == {1: MEAN_WEIGHT, 2: MEAN_WEIGHT}


def test_without_endpoints_there_are_no_weights() -> None:
    assert weights_of() == {}


def test_a_small_difference_changes_nothing() -> None:
    before = load_weights(idle_endpoints(4), before=LoadWeights(), now_s=NOW_S)
    nearly = [endpoint(0, running=1), *idle_endpoints(4)[1:]]
    assert load_weights(nearly, before=before, now_s=NOW_S).weights == before.weights


def test_a_single_peak_counts_less_than_one_that_stays() -> None:
    before = load_weights([endpoint(1, waiting=5), endpoint(2, waiting=5)], before=LoadWeights(), now_s=NOW_S)
    peak = (endpoint(1, waiting=15), endpoint(2, waiting=5))
    once, long = weights_of(*peak, before=before), weights_of(*peak, before=before, times=20)
    assert MEAN_WEIGHT >= once[1] > long[1]


def test_the_busiest_of_many_is_still_asked() -> None:
    assert weights_of(endpoint(0, waiting=5000), *idle_endpoints(30)[1:])[0] == MIN_WEIGHT


def test_weights_of_endpoints_that_went_are_dropped() -> None:
    before = load_weights(idle_endpoints(3), before=LoadWeights(), now_s=NOW_S)
    assert set(load_weights([endpoint(1)], before=before, now_s=NOW_S).smoothed_loads) == {address(1)}


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 500), st.integers(0, 5000))), max_size=20))
def test_weights_stay_where_envoy_takes_them(samples: list[tuple[int, int] | None]) -> None:
    weights = weights_of(
        *(
            silent_endpoint(number) if one is None else endpoint(number, running=one[0], waiting=one[1])
            for number, one in enumerate(samples)
        ),
        times=3,
    )
    assert set(weights) == set(range(len(samples)))
    assert all(MIN_WEIGHT <= weight <= MAX_WEIGHT for weight in weights.values())
