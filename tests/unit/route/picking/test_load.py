import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.picking.endpoint import FRESH_S, Endpoint
from mixserve.route.picking.load import Loads
from mixserve.route.picking.tuning import Tuning
from support.endpoints import NOW_S, endpoint, silent_endpoint

EVEN = Tuning(running_weight=0.5, length_share=0.0)


def loads_of(*endpoints: Endpoint, tuning: Tuning = EVEN, now_s: float = NOW_S) -> Loads:
    loads = Loads(tuning)
    loads.update(endpoints, now_s=now_s)
    return loads


def test_waiting_requests_count_in_full_and_running_ones_in_part() -> None:
    loads = loads_of(endpoint(1, running=8, waiting=3), endpoint(2))
    assert (loads.requests, loads.total, loads.blind) == ([7.0, 0.0], 7.0, False)


def test_an_endpoint_without_metrics_counts_as_the_busiest() -> None:
    loads = loads_of(silent_endpoint(1), endpoint(2, waiting=5), endpoint(3))
    assert loads.requests == [5.0, 5.0, 0.0]


def test_an_old_sample_is_none() -> None:
    old = endpoint(1, scraped_at_s=NOW_S - FRESH_S - 1)
    assert loads_of(old, endpoint(2, waiting=5)).requests == [5.0, 5.0]
    assert loads_of(endpoint(1, scraped_at_s=NOW_S - FRESH_S), endpoint(2, waiting=5)).requests == [0.0, 5.0]


def test_an_endpoint_whose_kv_cache_is_full_counts_as_the_busiest() -> None:
    assert loads_of(endpoint(1, kv_cache_usage=0.97), endpoint(2, waiting=5)).requests == [5.0, 5.0]


def test_without_any_metrics_endpoints_are_alike_and_not_idle() -> None:
    loads = loads_of(silent_endpoint(1), silent_endpoint(2))
    assert (loads.requests, loads.blind) == ([1.0, 1.0], True)


def test_a_pick_counts_until_the_second_newer_sample() -> None:
    loads = loads_of(endpoint(1), endpoint(2))
    loads.add(0, prompt_length=100)
    assert (loads.requests, loads.total) == ([1.0, 0.0], 1.0)
    seen = []
    for after_s in (0, 1, 1, 2):
        loads.update([endpoint(1, scraped_at_s=NOW_S + after_s), endpoint(2)], now_s=NOW_S + after_s)
        seen.append(loads.requests[0])
    assert seen == [1.0, 1.0, 1.0, 0.0]


def test_a_pick_may_count_until_the_next_sample_only() -> None:
    loads = loads_of(endpoint(1), tuning=Tuning(samples_kept=1))
    loads.add(0, prompt_length=100)
    loads.update([endpoint(1, scraped_at_s=NOW_S + 1)], now_s=NOW_S + 1)
    assert loads.requests == [0.0]


def test_picks_stay_with_their_endpoint_when_others_come_and_go() -> None:
    loads = loads_of(endpoint(1), endpoint(2))
    loads.add(1, prompt_length=100)
    loads.update([endpoint(2), endpoint(3)], now_s=NOW_S)
    assert loads.requests == [1.0, 0.0]


def test_picks_of_an_endpoint_without_metrics_are_forgotten_by_halves() -> None:
    loads = loads_of(silent_endpoint(1))
    loads.add(0, prompt_length=100)
    seen = []
    for _ in range(3):
        loads.update([silent_endpoint(1)], now_s=NOW_S)
        seen.append(loads.requests[0])
    assert seen == [1.5, 1.25, 1.125]


def test_long_prompts_count_for_more_than_short_ones() -> None:
    loads = loads_of(endpoint(1), endpoint(2), endpoint(3), tuning=Tuning(length_share=0.8))
    for position, length in enumerate((0, 4000, 10_000_000)):
        loads.add(position, prompt_length=length)
    short, middle, longest = loads.requests
    assert (short, middle) == (pytest.approx(0.2), pytest.approx(1.0, rel=0.05))
    assert 1.5 < longest <= 1 + 0.8 * 4


@given(
    st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 300), st.integers(0, 300))), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 10**7)), max_size=50),
)
def test_an_endpoint_without_metrics_is_never_less_loaded_than_all_that_have_some(
    samples: list[tuple[int, int] | None], picks: list[tuple[int, int]]
) -> None:
    loads = loads_of(
        *(
            silent_endpoint(number) if one is None else endpoint(number, running=one[0], waiting=one[1])
            for number, one in enumerate(samples)
        )
    )
    known = [load for load, one in zip(loads.requests, samples, strict=True) if one is not None]
    unknown = [load for load, one in zip(loads.requests, samples, strict=True) if one is None]
    assert all(load >= max(known, default=1.0) for load in unknown)
    for position, length in picks:
        loads.add(position % len(samples), prompt_length=length)
    assert loads.total == pytest.approx(sum(loads.requests))
