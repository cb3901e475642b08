from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixserve.simulate.engine import RequestTooLongError, SimulatedEngineCore, Step
from mixserve.simulate.requests import chained_block_hashes
from mixserve.simulate.roofline import roofline_of
from mixserve.simulate.startup_errors import ContextDoesNotFitError
from support.simulation import engine_settings, request, run_until_idle

if TYPE_CHECKING:
    from mixserve.simulate.settings import EngineSettings


def test_an_engine_that_can_not_hold_one_request_does_not_start() -> None:
    with pytest.raises(ContextDoesNotFitError):
        SimulatedEngineCore(engine_settings(blocks=1))


def test_an_idle_engine_has_nothing_to_do() -> None:
    engine = SimulatedEngineCore(engine_settings())
    step = engine.step(5.0)
    assert (engine.has_work, step.duration_s, step.ended_at_s, dict(step.tokens)) == (False, 0.0, 5.0, {})


def test_each_step_takes_what_the_roofline_says() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request(prompt=10, answer=2), 0.0)
    prefill, decode, over = run_until_idle(engine)
    roofline = roofline_of(engine.settings.hardware, engine.settings.model)
    assert prefill.duration_s == roofline.step_s(batch_tokens=10, context_tokens=10)
    assert decode.duration_s == roofline.step_s(batch_tokens=1, context_tokens=11)
    assert over.duration_s == 0.0


def test_tokens_come_out_at_the_end_of_their_step() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request("a", answer=2), 1.0)
    first = engine.step(2.0)
    assert dict(first.tokens) == {"a": 1}
    assert first.inter_token_s == ()
    (token,) = first.first_tokens
    assert (token.ttft_s, token.prompt_tokens, token.cached_tokens) == (first.ended_at_s - 1.0, 4, 0)
    second = engine.step(first.ended_at_s)
    assert second.inter_token_s == (second.ended_at_s - first.ended_at_s,)
    (finished,) = second.finished
    assert (finished.queued_at_s, finished.scheduled_at_s) == (1.0, 2.0)
    assert (finished.first_token_at_s, finished.finished_at_s) == (first.ended_at_s, second.ended_at_s)


def test_a_request_is_in_the_batch_until_its_last_step_is_over() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request(answer=1), 0.0)
    assert (engine.running, engine.kv_cache_usage) == (0, 0.0)
    step = engine.step(0.0)
    assert step.finished
    assert (engine.running, engine.kv_cache_usage) == (1, 1 / 64)
    engine.step(step.ended_at_s)
    assert (engine.running, engine.kv_cache_usage, engine.has_work) == (0, 0.0, False)


def test_a_request_waits_when_a_step_had_no_room_for_it() -> None:
    engine = SimulatedEngineCore(engine_settings(max_num_seqs=1))
    engine.submit(request("a"), 0.0)
    engine.submit(request("b"), 0.0)
    assert engine.waiting == 0
    step = engine.step(0.0)
    assert engine.waiting == 1
    # It came while the step was under way.
    engine.submit(request("c"), 0.0)
    assert engine.waiting == 1
    engine.step(step.ended_at_s)
    assert engine.waiting == 2


def test_a_request_that_is_dropped_waits_no_more() -> None:
    engine = SimulatedEngineCore(engine_settings(max_num_seqs=1))
    engine.submit(request("a"), 0.0)
    engine.submit(request("b"), 0.0)
    engine.step(0.0)
    engine.abort("b")
    assert engine.waiting == 0


def test_a_chunk_of_a_prefill_brings_no_token() -> None:
    engine = SimulatedEngineCore(engine_settings(max_num_batched_tokens=16))
    engine.submit(request("a", prompt=20, answer=1), 0.0)
    chunk, last, _ = run_until_idle(engine)
    assert (dict(chunk.tokens), chunk.batch_tokens) == ({}, 16)
    assert (dict(last.tokens), last.batch_tokens) == ({"a": 1}, 4)


def test_a_second_turn_reports_its_cached_tokens() -> None:
    engine = SimulatedEngineCore(engine_settings())
    hashes = chained_block_hashes(range(16), 4)
    engine.submit(request("a", prompt=16, answer=1, hashes=hashes), 0.0)
    run_until_idle(engine)
    engine.submit(request("b", prompt=18, answer=1, hashes=hashes), 100.0)
    step = engine.step(100.0)
    assert (step.queried_tokens, step.hit_tokens) == (18, 16)
    assert (step.first_tokens[0].cached_tokens, step.finished[0].cached_tokens) == (16, 16)


@pytest.mark.parametrize(("prompt", "answer"), [(32, 1), (1, 32), (20, 20)])
def test_a_request_beyond_the_context_is_refused(prompt: int, answer: int) -> None:
    engine = SimulatedEngineCore(engine_settings())
    with pytest.raises(RequestTooLongError, match=r"request a: \d+ tokens exceed max_model_len \(32\)"):
        engine.submit(request("a", prompt=prompt, answer=answer), 0.0)
    assert not engine.has_work


def test_a_second_request_with_the_same_id_is_refused_until_the_first_is_done() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request("a", answer=1), 0.0)
    with pytest.raises(ValueError, match="request a is in the engine already"):
        engine.submit(request("a"), 0.0)
    engine.step(0.0)
    engine.submit(request("a"), 1.0)


def test_an_aborted_request_frees_its_blocks_and_brings_no_more_tokens() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request("a", prompt=8), 0.0)
    engine.submit(request("b", prompt=8), 0.0)
    engine.step(0.0)
    assert engine.abort("a")
    assert engine.kv_cache_usage == 2 / 64
    assert all(set(step.tokens) <= {"b"} for step in run_until_idle(engine, 1.0))


def test_a_finished_or_unknown_request_can_not_be_aborted() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request("a", answer=1), 0.0)
    engine.step(0.0)
    assert not engine.abort("a")
    assert not engine.abort("never came")
    assert engine.running == 1


def test_a_request_submitted_during_a_step_never_waits_a_negative_time() -> None:
    engine = SimulatedEngineCore(engine_settings())
    engine.submit(request("a", answer=1), 1.5)
    step = engine.step(1.0)
    assert step.finished[0].scheduled_at_s == 1.5


@dataclass(frozen=True)
class Arrival:
    """A request of a generated workload; `prefix` picks one of a few shared beginnings."""

    gap_s: float
    prompt: int
    answer: int
    prefix: int


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        gap_s=st.floats(0, 20),
        prompt=st.integers(1, 24),
        answer=st.integers(1, 8),
        prefix=st.integers(0, 2),
    ),
    min_size=1,
    max_size=25,
)
SETTINGS = st.builds(
    engine_settings,
    blocks=st.integers(8, 24),
    max_num_seqs=st.integers(1, 6),
    max_num_batched_tokens=st.integers(6, 40),
    enable_prefix_caching=st.booleans(),
)


@dataclass
class Observed:
    """What a workload did in an engine."""

    tokens: dict[str, int]
    finished: list[str]
    scheduled_at_s: dict[str, float]
    queried: int
    hits: int


def observe(engine: SimulatedEngineCore, arrivals: list[Arrival]) -> Observed:
    """Run a workload, checking after each step what must hold at any time."""
    pending = [(f"{index:03}", arrival) for index, arrival in enumerate(arrivals)]
    seen = Observed({name: 0 for name, _ in pending}, [], {}, 0, 0)
    now_s, due_s = 0.0, arrivals[0].gap_s
    while pending or engine.has_work:
        while pending and (due_s <= now_s or not engine.has_work):
            name, arrival = pending.pop(0)
            now_s = max(now_s, due_s)
            hashes = chained_block_hashes([arrival.prefix] * arrival.prompt, 4)
            engine.submit(request(name, prompt=arrival.prompt, answer=arrival.answer, hashes=hashes), now_s)
            due_s += pending[0][1].gap_s if pending else 0
        step = engine.step(now_s)
        now_s = step.ended_at_s
        _record(seen, engine, step)
    return seen


def _record(seen: Observed, engine: SimulatedEngineCore, step: Step) -> None:
    assert 0 <= engine.kv_cache_usage <= 1
    assert engine.running <= engine.settings.max_num_seqs
    assert step.batch_tokens <= engine.settings.max_num_batched_tokens
    assert len(step.first_tokens) + len(step.inter_token_s) == len(step.tokens)
    seen.queried += step.queried_tokens
    seen.hits += step.hit_tokens
    for name, tokens in step.tokens.items():
        seen.tokens[name] += tokens
    for finished in step.finished:
        name = finished.request.request_id
        seen.finished.append(name)
        seen.scheduled_at_s[name] = finished.scheduled_at_s
        assert finished.queued_at_s <= finished.scheduled_at_s < finished.first_token_at_s
        assert finished.first_token_at_s <= finished.finished_at_s
        assert 0 <= finished.cached_tokens < finished.request.prompt_tokens


@settings(max_examples=200, deadline=None)
@given(chosen=SETTINGS, arrivals=ARRIVALS)
def test_every_request_gets_exactly_its_answer_in_order_of_arrival_and_leaves_nothing_behind(
    chosen: EngineSettings, arrivals: list[Arrival]
) -> None:
    engine = SimulatedEngineCore(chosen)
    seen = observe(engine, arrivals)
    assert [seen.tokens[name] for name in sorted(seen.tokens)] == [arrival.answer for arrival in arrivals]
    assert sorted(seen.finished) == sorted(seen.tokens)
    starts = [seen.scheduled_at_s[name] for name in sorted(seen.scheduled_at_s)]
    assert starts == sorted(starts)
    assert engine.kv_cache_usage == 0.0
    assert 0 <= seen.hits <= seen.queried
    assert seen.queried == (sum(arrival.prompt for arrival in arrivals) if chosen.enable_prefix_caching else 0)


@settings(max_examples=50, deadline=None)
@given(chosen=SETTINGS, arrivals=ARRIVALS)
def test_the_same_workload_runs_the_same_way_again(chosen: EngineSettings, arrivals: list[Arrival]) -> None:
    assert observe(SimulatedEngineCore(chosen), arrivals) == observe(SimulatedEngineCore(chosen), arrivals)
