import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixserve.api.pool import ReplicaRange
from mixserve.autoscale.fleet import sort_pods
from mixserve.autoscale.ladder import Ladder, Step, build_ladder
from support.pools import variant


def ladder(*rows: tuple[str, int, int, int, float]) -> Ladder:
    """Rows of name, minimum, replicas, maximum, requests that a replica carries."""
    fleets = [
        sort_pods(variant(name=name, replicas=held), bounds=ReplicaRange(min=low, max=high), drains=True, remembered=0)
        for name, low, held, high, _ in rows
    ]
    return build_ladder(fleets, {row[0]: row[4] for row in rows})


@pytest.mark.parametrize(
    ("work", "expected"),
    [(0, 1), (8, 1), (8.7, 1), (8.9, 2), (37, 5), (16.7, 2), (999, 10)],
)
def test_one_variant_wants_work_over_capacity_less_a_tenth_rounded_up(work: float, expected: int) -> None:
    assert ladder(("main", 1, 3, 10, 8)).fill(work) == {"main": expected}


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (0, {"a": 0, "b": 1}),  # the minimum is there anyway
        (4, {"a": 0, "b": 1}),  # and carries what it can
        (10, {"a": 1, "b": 1}),
        (20, {"a": 2, "b": 1}),
        (24, {"a": 2, "b": 2}),
        (999, {"a": 2, "b": 5}),
    ],
)
def test_variants_fill_in_the_order_listed(work: float, expected: dict[str, int]) -> None:
    assert ladder(("a", 0, 0, 2, 8), ("b", 1, 1, 5, 4)).fill(work) == expected


def test_variants_shrink_in_reverse() -> None:
    full = ladder(("a", 0, 2, 2, 8), ("b", 1, 5, 5, 4))
    sizes = [full.fill(work) for work in (36, 28, 20, 12, 4)]
    assert [(size["a"], size["b"]) for size in sizes] == [(2, 5), (2, 3), (2, 1), (1, 1), (0, 1)]


def test_replicas_that_stand_in_the_wrong_place_are_used_before_new_ones() -> None:
    reordered = ladder(("a", 0, 0, 8, 8), ("b", 0, 5, 5, 2))
    assert reordered.fill(10) == {"a": 0, "b": 5}
    assert reordered.fill(12) == {"a": 1, "b": 5}


def test_less_than_a_tenth_of_a_large_replica_does_not_start_a_small_one() -> None:
    assert ladder(("a", 1, 2, 4, 100), ("b", 0, 0, 4, 1)).fill(209) == {"a": 2, "b": 0}


def test_what_goes_beyond_the_top_is_counted_in_replicas_of_the_last_variant() -> None:
    two = ladder(("a", 0, 0, 2, 8), ("b", 1, 1, 5, 4))
    assert two.maximum == 7
    assert two.position(36 + 6) == pytest.approx(7 + 1.5)


def test_no_work_needs_no_replicas() -> None:
    assert ladder(("a", 0, 0, 2, 8), ("b", 1, 1, 5, 4)).position(0) == 0


@given(
    work=st.floats(0, 1e6),
    low=st.integers(0, 20),
    held=st.integers(0, 40),
    more=st.integers(1, 40),
    capacity=st.floats(1, 1000),
)
def test_with_one_variant_the_ladder_is_the_plain_formula(
    work: float, low: int, held: int, more: int, capacity: float
) -> None:
    x = work / capacity
    assume(abs((x - 0.1) - round(x - 0.1)) > 1e-6)  # rounding up is not comparable right at the edge
    one = ladder(("main", low, held, low + more, capacity))
    assert one.fill(work) == {"main": min(max(math.ceil(x - 0.1), low), low + more)}
    assert one.position(work) == pytest.approx(x)


rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(1, 6), st.floats(1, 64)), min_size=1, max_size=4
)


@given(rows=rows, work=st.floats(0, 2000), more=st.floats(0, 500))
def test_more_work_never_means_fewer_replicas(
    rows: list[tuple[int, int, int, float]], work: float, more: float
) -> None:
    steps = ladder(*((f"v{i}", low, held, low + room, b) for i, (low, held, room, b) in enumerate(rows)))
    few, many = steps.fill(work), steps.fill(work + more)
    assert all(few[name] <= many[name] for name in few)
    assert steps.position(work) <= steps.position(work + more) + 1e-9


@given(rows=rows, work=st.floats(0, 2000))
def test_what_is_filled_carries_the_work_but_for_a_tenth_of_a_replica_or_is_all_there_is(
    rows: list[tuple[int, int, int, float]], work: float
) -> None:
    named = [(f"v{i}", low, held, low + room, b) for i, (low, held, room, b) in enumerate(rows)]
    size = ladder(*named).fill(work)
    carried = sum(size[name] * b for name, _, _, _, b in named)
    largest = max(b for *_, b in named)
    assert all(low <= size[name] <= high for name, low, _, high, _ in named)
    assert carried >= work - 0.1 * largest - 1e-6 or all(size[name] == high for name, _, _, high, _ in named)


def test_the_steps_are_minimums_then_what_is_there_then_room() -> None:
    assert ladder(("a", 1, 3, 5, 8), ("b", 0, 2, 2, 4)) == Ladder(
        minimums=(Step("a", 1, 8), Step("b", 0, 4)),
        optional=(Step("a", 2, 8), Step("b", 2, 4), Step("a", 2, 8), Step("b", 0, 4)),
    )
