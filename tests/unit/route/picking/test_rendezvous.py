from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.picking.rendezvous import ORDER_LENGTH, SLOTS, Rendezvous, mixed
from support.endpoints import address

KEYS = range(4000)


def first_choices(names: list[str]) -> list[str]:
    rendezvous = Rendezvous(names)
    return [names[rendezvous.order(key)[0]] for key in KEYS]


@pytest.mark.parametrize("count", [1, 3, 16, 60])
def test_a_new_endpoint_takes_its_share_of_keys_and_moves_no_other(count: int) -> None:
    names = [address(number) for number in range(count)]
    before, after = first_choices(names), first_choices([*names, address(count)])
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {address(count)}
    assert len(moved) == pytest.approx(len(KEYS) / (count + 1), rel=0.35)


def test_when_an_endpoint_goes_only_its_own_keys_move() -> None:
    names = [address(number) for number in range(8)]
    before, after = first_choices(names), first_choices(names[:-1])
    assert {old for old, new in zip(before, after, strict=True) if old != new} == {names[-1]}


def test_keys_spread_evenly() -> None:
    counts = Counter(first_choices([address(number) for number in range(16)]))
    assert max(counts.values()) < 1.3 * len(KEYS) / 16


@given(st.lists(st.integers(0, 250), min_size=1, unique=True), st.integers(0, 2**64 - 1))
def test_an_order_names_endpoints_once_and_is_always_the_same(numbers: list[int], key: int) -> None:
    names = [address(number) for number in numbers]
    order = Rendezvous(names).order(key)
    assert len(set(order)) == len(order) == min(len(names), ORDER_LENGTH)
    assert order == Rendezvous(names).order(key)


def test_an_order_of_some_agrees_with_the_order_of_all() -> None:
    rendezvous = Rendezvous([address(number) for number in range(6)])
    ranked = rendezvous.ranked(7, range(6))
    assert rendezvous.ranked(7, {1, 4, 5}) == tuple(position for position in ranked if position in {1, 4, 5})


def test_no_more_orders_are_kept_than_there_are_slots() -> None:
    rendezvous = Rendezvous([address(1), address(2)])
    for key in range(3 * SLOTS):
        rendezvous.order(key)
    assert len(rendezvous._orders) <= SLOTS


def test_mixing_is_the_same_everywhere() -> None:
    assert mixed(0) == 0xE220A8397B1DCDAF  # the first number of SplitMix64 with seed 0, as published
