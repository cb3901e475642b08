from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.picking.affinity import Affinity, affinity_of
from mixserve.route.picking.endpoint import Endpoint, Pick, PickReason
from mixserve.route.picking.picker import PrefixAwarePicker
from mixserve.route.picking.tuning import TUNING
from support.endpoints import NOW_S, address, endpoint, idle_endpoints, silent_endpoint

SYSTEM = "You answer in one sentence. " * 100
NOTHING = Affinity()


def picker_of(*endpoints: Endpoint) -> PrefixAwarePicker:
    picker = PrefixAwarePicker()
    picker.update(endpoints, now_s=NOW_S)
    return picker


def picked(picker: PrefixAwarePicker, affinity: Affinity) -> Pick:
    pick = picker.pick(affinity)
    assert pick is not None
    return pick


def prompt(text: str, **words: str) -> Affinity:
    return affinity_of(text, pool="llm/chat", **words)


def test_without_endpoints_there_is_no_pick() -> None:
    assert PrefixAwarePicker().pick(NOTHING) is None
    picker = picker_of(*idle_endpoints(2))
    picker.update([], now_s=NOW_S)
    assert picker.pick(NOTHING) is None


def test_the_only_endpoint_is_picked_alone() -> None:
    assert picked(picker_of(endpoint(1)), prompt(SYSTEM)) == Pick((address(1),), PickReason.PREFIX)


def test_prompts_that_begin_alike_go_to_one_endpoint() -> None:
    picker = picker_of(*(endpoint(number, running=100) for number in range(8)))
    firsts = {picked(picker, prompt(SYSTEM + str(number))).addresses[0] for number in range(5)}
    assert len(firsts) == 1


def test_homes_stay_when_the_same_endpoints_are_seen_again() -> None:
    pool = [endpoint(number, running=100) for number in range(8)]
    picker = picker_of(*pool)
    before, orders = picked(picker, prompt(SYSTEM)), picker._rendezvous
    picker.update(pool, now_s=NOW_S + 1)
    assert picked(picker, prompt(SYSTEM)) == before
    assert picker._rendezvous is orders


def test_a_popular_beginning_is_spread_by_what_follows_it() -> None:
    picker = picker_of(*(endpoint(number, running=100) for number in range(8)))
    chats = [prompt(f"{SYSTEM}{number}{SYSTEM}") for number in range(200)]
    for chat in chats:
        picker.pick(chat)
    counts = Counter(picked(picker, chat).addresses[0] for chat in chats)
    assert len(counts) == 8
    assert max(counts.values()) < 2 * len(chats) / 8


def test_different_prompts_spread() -> None:
    picker = picker_of(*(endpoint(number, running=100) for number in range(8)))
    firsts = {picked(picker, prompt(str(number) + SYSTEM)).addresses[0] for number in range(100)}
    assert len(firsts) == 8


def test_a_session_goes_to_one_endpoint_whatever_its_prompts() -> None:
    picker = picker_of(*(endpoint(number, running=100) for number in range(8)))
    picks = [picked(picker, prompt(f"{number}{SYSTEM}", session="s")) for number in range(4)]
    assert {(pick.addresses[0], pick.reason) for pick in picks} == {(picks[0].addresses[0], PickReason.SESSION)}


def test_an_endpoint_that_carries_too_much_is_passed_over_for_the_next_in_order() -> None:
    home, second, _ = picked(picker_of(*idle_endpoints(4)), prompt(SYSTEM)).addresses
    busy = [endpoint(number, waiting=20 if address(number) == home else 1) for number in range(4)]
    pick = picked(picker_of(*busy), prompt(SYSTEM))
    assert (pick.addresses[0], pick.reason) == (second, PickReason.SPILLED)


def test_a_new_prompt_is_passed_on_at_a_load_at_which_one_that_came_before_stays() -> None:
    home = picked(picker_of(*idle_endpoints(4)), prompt(SYSTEM)).addresses[0]
    pool = [endpoint(number, waiting=14 if address(number) == home else 10) for number in range(4)]
    picker = picker_of(*pool)
    picks = [picked(picker, prompt(SYSTEM)) for _ in range(2)]
    assert [pick.reason for pick in picks] == [PickReason.SPILLED, PickReason.PREFIX]
    assert (picks[0].addresses[0] != home, picks[1].addresses[0] == home) == (True, True)


def test_when_all_in_the_order_carry_too_much_the_least_loaded_is_picked() -> None:
    order = picked(picker_of(*idle_endpoints(20)), prompt(SYSTEM)).addresses
    busy = [endpoint(number, waiting=30) for number in range(20)]
    idle = next(number for number in range(20) if address(number) not in _order_of_eight(order))
    busy[idle] = endpoint(idle)
    # Twelve endpoints beyond the order would have to be idle to lower the mean so far; one is not enough.
    assert picked(picker_of(*busy), prompt(SYSTEM)).reason is PickReason.PREFIX
    for number in range(20):
        if address(number) not in _order_of_eight(order):
            busy[number] = endpoint(number, waiting=1 if number != idle else 0)
    pick = picked(picker_of(*busy), prompt(SYSTEM))
    assert (pick.addresses[0], pick.reason) == (address(idle), PickReason.SPILLED)


def _order_of_eight(first: tuple[str, ...]) -> set[str]:
    picker = picker_of(*idle_endpoints(20))
    order = picker._rendezvous.order(prompt(SYSTEM).blocks[0])
    names = [picker._addresses[position] for position in order]
    assert tuple(names[: len(first)]) == first
    return set(names)


def test_without_anything_to_go_by_the_least_loaded_is_picked() -> None:
    pick = picked(picker_of(endpoint(1, waiting=3), endpoint(2), endpoint(3, waiting=1)), NOTHING)
    assert (pick.addresses[0], pick.reason, len(pick.addresses)) == (address(2), PickReason.LEAST_LOAD, 3)


def test_equals_take_turns() -> None:
    picker = picker_of(*(endpoint(number, waiting=5) for number in range(4)))
    counts = Counter(picked(picker, NOTHING).addresses[0] for _ in range(40))
    assert set(counts.values()) == {10}


def test_the_least_loaded_is_found_among_more_than_an_order_holds() -> None:
    picker = picker_of(*(endpoint(number, waiting=0 if number == 77 else 9) for number in range(200)))
    assert picked(picker, NOTHING).addresses[0] == address(77)


def test_an_endpoint_without_metrics_is_not_taken_for_idle() -> None:
    picker = picker_of(silent_endpoint(1), endpoint(2, waiting=6), endpoint(3, waiting=5))
    assert [picked(picker, NOTHING).addresses[0] for _ in range(2)] == [address(3)] * 2


def test_without_metrics_picks_are_blind_and_still_even() -> None:
    picker = picker_of(*(silent_endpoint(number) for number in range(4)))
    picks = [picked(picker, NOTHING) for _ in range(40)]
    assert {pick.reason for pick in picks} == {PickReason.BLIND}
    assert set(Counter(pick.addresses[0] for pick in picks).values()) == {10}


class TestAdapters:
    def test_a_request_goes_where_its_adapter_is(self) -> None:
        endpoints = [
            endpoint(number, running=100, adapters=("sql",) if number in {2, 5} else ()) for number in range(8)
        ]
        picker = picker_of(*endpoints)
        picks = [picked(picker, prompt(f"{number}{SYSTEM}", adapter="sql")) for number in range(20)]
        assert {pick.addresses[0] for pick in picks} == {address(2), address(5)}
        assert PickReason.ADAPTER in {pick.reason for pick in picks}

    @pytest.mark.parametrize("session", ["", "s"])
    def test_prompts_and_sessions_keep_to_one_of_its_endpoints(self, session: str) -> None:
        endpoints = [endpoint(number, running=100, adapters=("sql",)) for number in range(8)]
        picker = picker_of(*endpoints)
        firsts = {picked(picker, prompt(SYSTEM, adapter="sql", session=session)).addresses[0] for _ in range(5)}
        assert len(firsts) == 1

    def test_short_prompts_take_turns_among_its_endpoints(self) -> None:
        picker = picker_of(*(endpoint(number, running=100, adapters=("sql",)) for number in range(3)))
        assert len({picked(picker, prompt("hi", adapter="sql")).addresses[0] for _ in range(30)}) == 3

    def test_an_adapter_that_nobody_has_is_loaded_in_one_place(self) -> None:
        picker = picker_of(*(endpoint(number, running=100) for number in range(8)))
        picks = [picked(picker, prompt(f"{number}{SYSTEM}", adapter="sql")) for number in range(5)]
        assert len({pick.addresses[0] for pick in picks}) == 1

    def test_replicas_agree_where_to_load_an_adapter_whatever_the_prompt(self) -> None:
        pool = [endpoint(number, running=100) for number in range(8)]
        picks = [picked(picker_of(*pool), prompt(f"{number}{SYSTEM}", adapter="sql")) for number in range(5)]
        assert len({pick.addresses[0] for pick in picks}) == 1

    def test_an_endpoint_that_is_loading_an_adapter_counts_as_having_it(self) -> None:
        picker = picker_of(endpoint(1, waiting=20, adapters=("sql",)), endpoint(2), endpoint(3))
        first, second = (picked(picker, prompt(SYSTEM, adapter="sql")) for _ in range(2))
        assert sum("sql" in adapters for adapters in picker._adapters) == 2
        picker.update([endpoint(1, waiting=20), endpoint(2), endpoint(3)], now_s=NOW_S)
        assert (first.reason, second.addresses[0]) == (PickReason.SPILLED, first.addresses[0])
        assert picker._adapters == [set(), set(), set()]

    def test_others_are_taken_when_its_endpoints_carry_too_much(self) -> None:
        picker = picker_of(endpoint(1, waiting=20, adapters=("sql",)), endpoint(2), endpoint(3))
        pick = picked(picker, prompt(SYSTEM, adapter="sql"))
        assert pick.addresses[0] != address(1)
        assert (pick.reason, len(pick.addresses)) == (PickReason.SPILLED, 3)


words = st.sampled_from(["", "a", "b", "c"])
affinities = st.builds(
    lambda text, session, adapter: prompt(text * 300, session=session, adapter=adapter), words, words, words
)
endpoints = st.lists(
    st.builds(
        lambda number, running, silent: silent_endpoint(number) if silent else endpoint(number, running=running),
        st.integers(0, 250),
        st.integers(0, 200),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda one: one.address,
)


@given(endpoints, st.lists(affinities, max_size=60))
def test_picks_name_distinct_endpoints_of_the_pool_and_keep_to_the_bound(
    pool: list[Endpoint], requests: list[Affinity]
) -> None:
    picker = picker_of(*pool)
    for request in requests:
        before = list(picker._loads.requests)
        mean = (sum(before) + 1) / len(before)
        pick = picked(picker, request)
        assert len(set(pick.addresses)) == len(pick.addresses) == min(3, len(pool))
        assert set(pick.addresses) <= {one.address for one in pool}
        first = before[picker._addresses.index(pick.addresses[0])]
        assert first <= TUNING.kept_bound.load(mean) + 1e-9 or first == min(before)


@given(endpoints, st.lists(affinities, max_size=60), st.randoms(use_true_random=False))
def test_replicas_that_see_the_same_pick_the_same(pool: list[Endpoint], requests: list[Affinity], rng: Random) -> None:
    one, other = picker_of(*pool), picker_of(*rng.sample(pool, len(pool)))
    assert [one.pick(request) for request in requests] == [other.pick(request) for request in requests]


def test_replicas_that_see_different_halves_of_the_requests_agree_on_homes() -> None:
    pool = [endpoint(number, running=100) for number in range(8)]
    one, other = picker_of(*pool), picker_of(*pool)
    for number in range(40):
        (one if number % 2 else other).pick(prompt(f"{number}{SYSTEM}"))
    asked = [prompt(f"{number}{SYSTEM}") for number in range(40)]
    assert [picked(one, it).addresses[0] for it in asked] == [picked(other, it).addresses[0] for it in asked]
