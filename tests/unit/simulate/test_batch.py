from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.simulate.batch import Batch, ContinuousBatching, Sequence
from mixserve.simulate.kv_cache import BlockPool
from support.simulation import engine_settings, request

if TYPE_CHECKING:
    from mixserve.simulate.settings import EngineSettings


class Scheduling:
    """A batching under test, with the part that the engine does after each step."""

    def __init__(self, settings: EngineSettings, *, blocks: int = 64) -> None:
        self.pool = BlockPool(blocks)
        self.batching = ContinuousBatching(settings, self.pool)
        self.now_s = 0.0

    def queue(self, *sequences: Sequence) -> None:
        self.batching.waiting.extend(sequences)

    def step(self) -> dict[str, int]:
        """Tokens of each request in the next step."""
        self.batching.retire_finished()
        batch = self.batching.schedule(self.now_s)
        self._complete(batch)
        self.last = batch
        return {sequence.request.request_id: tokens for sequence, tokens in batch.work}

    def _complete(self, batch: Batch) -> None:
        self.now_s += 1
        for sequence, tokens in batch.work:
            sequence.computed += tokens
            sequence.generated += sequence.computed == sequence.length

    def running(self) -> list[str]:
        return [sequence.request.request_id for sequence in self.batching.running]

    def waiting(self) -> list[str]:
        return [sequence.request.request_id for sequence in self.batching.waiting]


def sequence(
    name: str,
    *,
    prompt: int = 4,
    answer: int = 3,
    hashes: tuple[int, ...] = (),
) -> Sequence:
    return Sequence(request(name, prompt=prompt, answer=answer, hashes=hashes), queued_at_s=0.0)


def test_a_prompt_is_computed_at_once_and_then_token_by_token() -> None:
    scheduling = Scheduling(engine_settings())
    scheduling.queue(sequence("a", prompt=10, answer=3))
    assert [scheduling.step() for _ in range(4)] == [{"a": 10}, {"a": 1}, {"a": 1}, {}]


def test_a_long_prompt_is_computed_in_chunks() -> None:
    scheduling = Scheduling(engine_settings(max_num_batched_tokens=16))
    scheduling.queue(sequence("a", prompt=30, answer=2))
    assert [scheduling.step() for _ in range(3)] == [{"a": 16}, {"a": 14}, {"a": 1}]


def test_decodes_come_first_and_prefills_fill_the_step() -> None:
    scheduling = Scheduling(engine_settings(max_num_batched_tokens=16))
    scheduling.queue(sequence("a", prompt=4), sequence("b", prompt=20))
    assert scheduling.step() == {"a": 4, "b": 12}
    assert scheduling.step() == {"a": 1, "b": 8}
    assert scheduling.step() == {"a": 1, "b": 1}


def test_the_step_reads_the_context_of_everything_in_it() -> None:
    scheduling = Scheduling(engine_settings())
    scheduling.queue(sequence("a", prompt=4), sequence("b", prompt=6))
    scheduling.step()
    assert (scheduling.last.tokens, scheduling.last.context_tokens) == (10, 10)
    scheduling.step()
    assert (scheduling.last.tokens, scheduling.last.context_tokens) == (2, 12)


def test_a_full_step_leaves_running_requests_for_the_next() -> None:
    scheduling = Scheduling(engine_settings(max_num_batched_tokens=4, max_num_seqs=4))
    scheduling.queue(sequence("a", prompt=7), sequence("b"))
    assert [scheduling.step() for _ in range(3)] == [{"a": 4}, {"a": 3, "b": 1}, {"a": 1, "b": 3}]


def test_no_more_sequences_than_allowed_run() -> None:
    scheduling = Scheduling(engine_settings(max_num_seqs=2))
    scheduling.queue(sequence("a", answer=1), sequence("b"), sequence("c"))
    scheduling.step()
    assert (scheduling.running(), scheduling.waiting()) == (["a", "b"], ["c"])
    scheduling.step()
    assert (scheduling.running(), scheduling.waiting()) == (["b", "c"], [])


def test_nobody_overtakes_the_head_of_the_queue_that_does_not_fit() -> None:
    scheduling = Scheduling(engine_settings(), blocks=4)
    scheduling.queue(sequence("a", prompt=8), sequence("b", prompt=9), sequence("c", prompt=1))
    scheduling.step()
    assert (scheduling.running(), scheduling.waiting()) == (["a"], ["b", "c"])


def test_a_prompt_is_admitted_only_when_all_of_it_fits_though_it_comes_in_chunks() -> None:
    scheduling = Scheduling(engine_settings(max_num_batched_tokens=16), blocks=6)
    scheduling.queue(sequence("a", prompt=8, answer=1), sequence("b", prompt=20, answer=1))
    assert [scheduling.step() for _ in range(3)] == [{"a": 8}, {"b": 16}, {"b": 4}]


def test_when_blocks_run_out_the_latest_arrival_is_computed_again() -> None:
    scheduling = Scheduling(engine_settings(), blocks=3)
    a, b = sequence("a", prompt=4, answer=8), sequence("b", prompt=4, answer=8)
    scheduling.queue(a, b)
    assert scheduling.step() == {"a": 4, "b": 4}
    assert scheduling.step() == {"a": 1}
    assert (scheduling.last.preemptions, b.preemptions, scheduling.waiting()) == (1, 1, ["b"])


def test_a_preempted_request_goes_back_to_the_head_and_recomputes_its_answer_too() -> None:
    scheduling = Scheduling(engine_settings(max_num_seqs=2), blocks=4)
    b = sequence("b", prompt=4, answer=6)
    scheduling.queue(sequence("a", prompt=7, answer=3), b, sequence("c", prompt=1))
    assert [scheduling.step() for _ in range(3)] == [{"a": 7, "b": 4}, {"a": 1, "b": 1}, {"a": 1}]
    assert (b.preemptions, scheduling.waiting()) == (1, ["b", "c"])
    assert scheduling.step() == {"b": 6, "c": 1}


def test_a_request_that_can_not_grow_preempts_itself_when_it_is_the_latest() -> None:
    scheduling = Scheduling(engine_settings(), blocks=2)
    b = sequence("b", prompt=4, answer=2)
    scheduling.queue(sequence("a", prompt=3, answer=3), b)
    assert scheduling.step() == {"a": 3, "b": 4}
    assert scheduling.step() == {"a": 1}
    assert (scheduling.running(), scheduling.waiting(), b.computed, b.lease.blocks) == (["a"], ["b"], 0, 0)


def test_nothing_is_admitted_in_a_step_with_a_preemption() -> None:
    scheduling = Scheduling(engine_settings(), blocks=2)
    scheduling.queue(sequence("a", prompt=4, answer=2), sequence("b", prompt=4, answer=2))
    scheduling.step()
    scheduling.queue(sequence("c", prompt=1))
    assert scheduling.step() == {"a": 1}


def test_a_cached_prefix_is_not_computed_again() -> None:
    scheduling = Scheduling(engine_settings())
    scheduling.queue(sequence("a", prompt=10, answer=1, hashes=(11, 12)))
    scheduling.step()
    again = sequence("b", prompt=10, answer=1, hashes=(11, 12))
    scheduling.queue(again)
    assert scheduling.step() == {"b": 2}
    assert (again.cached_tokens, scheduling.last.queried_tokens, scheduling.last.hit_tokens) == (8, 10, 8)


def test_the_last_token_is_computed_even_when_its_block_is_cached() -> None:
    scheduling = Scheduling(engine_settings())
    scheduling.queue(sequence("a", prompt=8, answer=1, hashes=(11, 12)))
    scheduling.step()
    scheduling.queue(sequence("b", prompt=8, answer=1, hashes=(11, 12)))
    assert scheduling.step() == {"b": 4}


def test_a_prefix_in_the_same_step_is_shared_already() -> None:
    scheduling = Scheduling(engine_settings())
    hashes = (11, 12)
    scheduling.queue(sequence("a", prompt=9, hashes=hashes), sequence("b", prompt=9, hashes=hashes))
    assert scheduling.step() == {"a": 9, "b": 1}
    assert scheduling.pool.blocks - scheduling.pool.free == 4


def test_an_answer_becomes_the_prefix_of_the_next_turn() -> None:
    scheduling = Scheduling(engine_settings())
    scheduling.queue(sequence("a", prompt=4, answer=6, hashes=(11, 12)))
    for _ in range(6):
        scheduling.step()
    scheduling.queue(sequence("b", prompt=12, hashes=(11, 12)))
    assert scheduling.step() == {"b": 4}


def test_without_prefix_caching_everything_is_computed_and_nothing_looked_up() -> None:
    scheduling = Scheduling(engine_settings(enable_prefix_caching=False))
    for name in ("a", "b"):
        scheduling.queue(sequence(name, prompt=10, answer=1, hashes=(11, 12)))
        assert scheduling.step() == {name: 10}
    assert (scheduling.last.queried_tokens, scheduling.last.hit_tokens) == (0, 0)


def test_a_preempted_request_counts_once_as_a_query_of_the_prefix_cache() -> None:
    scheduling = Scheduling(engine_settings(), blocks=3)
    scheduling.queue(sequence("a", prompt=4, answer=5), sequence("b", prompt=4, answer=5))
    queried = 0
    while scheduling.batching.running or scheduling.batching.waiting:
        scheduling.step()
        queried += scheduling.last.queried_tokens
    assert queried == 8


def test_removing_frees_blocks_of_running_and_waiting_alike() -> None:
    scheduling = Scheduling(engine_settings(max_num_seqs=1))
    a, b = sequence("a", prompt=8), sequence("b")
    scheduling.queue(a, b)
    scheduling.step()
    scheduling.batching.remove(b)
    scheduling.batching.remove(a)
    assert (scheduling.running(), scheduling.waiting(), scheduling.pool.usage) == ([], [], 0.0)
