from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.observation import PodObservation
from mixserve.api.pool import ReplicaRange
from mixserve.api.pool_status import LearnedCapacity, PoolStatus, VariantStatus
from mixserve.autoscale.fleet import sort_pods
from mixserve.autoscale.memory import Learned, ScaleMemory, Wish, recall
from support.pools import NOW_S, SILENT, pod, sample, starting, variant


def learn(memory: ScaleMemory, *pods: PodObservation, after_s: float = 0, prior: float = 64) -> ScaleMemory:
    bounds = ReplicaRange(min=1, max=9)
    fleet = sort_pods(variant(*pods), bounds=bounds, drains=True, remembered=0)
    return memory.with_samples([fleet], priors={"main": prior}, now_s=NOW_S + after_s)


def wishes(*sizes: tuple[float, int], window_s: float = 300) -> ScaleMemory:
    memory = ScaleMemory()
    for time_s, size in sizes:
        memory = memory.with_wish(Wish(time_s, {"main": size}), window_s=window_s)
    return memory


def test_a_replica_carries_what_fits_until_something_waited() -> None:
    assert ScaleMemory().capacity("main", 64.0, now_s=NOW_S) == 64.0


def test_a_replica_carries_at_least_one_request() -> None:
    assert ScaleMemory().capacity("main", 0.2, now_s=NOW_S) == 1.0


def test_a_pod_where_requests_waited_twice_in_a_row_shows_what_it_carries() -> None:
    memory = learn(ScaleMemory(), pod("a", sample(9, 3)))
    assert memory.capacity("main", 64.0, now_s=NOW_S) == 64.0
    memory = learn(memory, pod("a", sample(12, 3, at_s=NOW_S + 5)), after_s=5)
    assert memory.capacity("main", 64.0, now_s=NOW_S) == 12.0


def test_one_scrape_seen_twice_is_one_scrape() -> None:
    memory = learn(learn(ScaleMemory(), pod("a", sample(9, 3))), pod("a", sample(9, 3)), after_s=1)
    assert memory.learned == {}


def test_the_largest_counts() -> None:
    memory = ScaleMemory()
    for step, running in enumerate((12, 12, 20, 5)):
        memory = learn(memory, pod("a", sample(running, 3, at_s=NOW_S + 5 * step)), after_s=5 * step)
    assert memory.learned == {"main": Learned(running=20, prior=64, seen_at_s=NOW_S + 15)}


def test_a_queue_that_empties_in_between_teaches_nothing() -> None:
    memory = ScaleMemory()
    for step, waiting in enumerate((19, 0, 19)):
        memory = learn(memory, pod("a", sample(1, waiting, at_s=NOW_S + 5 * step)), after_s=5 * step)
    assert memory.learned == {}


def test_an_engine_that_runs_nothing_while_requests_wait_teaches_nothing() -> None:
    memory = learn(ScaleMemory(), pod("a", sample(0, 9)))
    assert learn(memory, pod("a", sample(0, 9, at_s=NOW_S + 5)), after_s=5).learned == {}


def test_a_prior_that_changes_forgets() -> None:
    memory = learn(ScaleMemory(), pod("a", sample(9, 3)))
    memory = learn(memory, pod("a", sample(9, 3, at_s=NOW_S + 5)), after_s=5)
    assert memory.capacity("main", 32.0, now_s=NOW_S) == 32.0
    assert learn(memory, pod("a"), prior=32).learned == {}


def learned(running: int, *, prior: float = 64) -> ScaleMemory:
    return ScaleMemory(learned={"main": Learned(running=running, prior=prior, seen_at_s=NOW_S)})


def test_what_nobody_has_seen_for_long_grows_back_to_what_fits() -> None:
    memory = learned(10)
    carried = [memory.capacity("main", 64.0, now_s=NOW_S + hours * 3600) for hours in (0, 4, 8, 12, 1000)]
    assert carried == [10, 20, 40, 64, 64]


def test_what_was_learned_above_what_fits_stays() -> None:
    assert learned(100).capacity("main", 64.0, now_s=NOW_S + 3600) == 100


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    assert learned(10).capacity("main", 64.0, now_s=NOW_S - 3600) == 10


def test_a_replica_that_runs_more_without_a_queue_carries_it() -> None:
    memory = learn(learned(10), pod("a", sample(30)), pod("b", sample(2)))
    assert memory.learned == {"main": Learned(running=30, prior=64, seen_at_s=NOW_S)}


def test_no_more_than_fits_is_believed_without_a_queue() -> None:
    assert learn(learned(10), pod("a", sample(65))).learned == learned(10).learned
    assert learn(ScaleMemory(), pod("a", sample(60))).learned == {}


def test_what_a_queue_shows_again_counts_from_then_on() -> None:
    memory = learned(10)
    for after_s in (3595, 3600):
        memory = learn(memory, pod("a", sample(9, 3, at_s=NOW_S + after_s)), after_s=after_s)
    assert memory.learned == {"main": Learned(running=10, prior=64, seen_at_s=NOW_S + 3600)}


def status(**fields: Any) -> PoolStatus:
    row = VariantStatus(name="main", deployment="p-main", desired=7, replicas=5, ready=5, **fields)
    return PoolStatus(variants=(row,))


def test_a_restart_recalls_what_was_learned_and_wanted() -> None:
    memory = recall(status(learned=LearnedCapacity(requests=11, expected="73.14")), now_s=NOW_S)
    assert memory.capacity("main", 73.142857, now_s=NOW_S) == 11
    assert memory.capacity("main", 73.15, now_s=NOW_S) == 73.15
    assert memory.largest_wish("main") == 7
    assert not memory.covers(NOW_S - 1)


def test_a_restart_recalls_no_more_than_there_is() -> None:
    assert recall(None, now_s=NOW_S) == ScaleMemory()
    assert recall(status(), now_s=NOW_S).learned == {}


def test_what_the_load_asks_for_comes_before_what_is_recalled() -> None:
    memory = recall(status(), now_s=NOW_S).with_wish(Wish(NOW_S, {"main": 2}), window_s=300)
    assert memory.largest_wish("main") == 2


def test_pods_without_data_or_not_ready_teach_nothing() -> None:
    memory = learn(ScaleMemory(), pod("a", SILENT), starting("b"), pod("c", sample(3, 3), ready=False))
    assert memory.waited_at_s == {}


def test_an_empty_memory_covers_no_time() -> None:
    assert not ScaleMemory().covers(0)
    assert ScaleMemory().largest_wish("main") == 0


def test_wishes_cover_the_time_since_the_first() -> None:
    assert wishes((100, 3)).covers(100)
    assert not wishes((100, 3)).covers(99)


def test_a_wish_that_stays_is_kept_once() -> None:
    assert wishes((100, 3), (105, 3), (110, 3)).wishes == (Wish(100, {"main": 3}),)


def test_a_wish_holds_until_the_next_one() -> None:
    memory = wishes((0, 5), (1000, 2))
    assert memory.largest_wish("main") == 5  # it held when the window began at 700
    memory = memory.with_wish(Wish(1300, {"main": 2}), window_s=300)
    assert memory.largest_wish("main") == 2
    assert memory.covers(1000)


def test_time_in_which_nobody_looked_does_not_count_as_calm() -> None:
    assert wishes((0, 5), (5000, 1)).largest_wish("main") == 5


@given(
    steps=st.lists(st.tuples(st.floats(0.1, 200), st.integers(0, 9)), min_size=1, max_size=40),
    window_s=st.floats(0, 400),
)
def test_the_largest_wish_is_the_largest_that_held_at_any_time_of_the_window(
    steps: list[tuple[float, int]], window_s: float
) -> None:
    at_s, history = 0.0, []
    for gap_s, size in steps:
        at_s += gap_s
        history.append((at_s, size))
    held = [size for i, (_, size) in enumerate(history) if i + 1 == len(history) or history[i + 1][0] > at_s - window_s]
    assert wishes(*history, window_s=window_s).largest_wish("main") == max(held)
