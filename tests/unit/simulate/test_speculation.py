from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixserve.simulate.engine import SimulatedEngineCore, Step
from mixserve.simulate.memory import kv_budget
from mixserve.simulate.roofline import draft_step_s, roofline_of
from mixserve.simulate.settings import GIB
from mixserve.simulate.speculation import DraftCounts, SimulatedSpeculation
from support.simulation import engine_settings, request, run_until_idle


def speculation(tokens: int = 3, acceptance: float = 1.0, **given: object) -> SimulatedSpeculation:
    return SimulatedSpeculation(tokens=tokens, acceptance=acceptance, **given)  # type: ignore[arg-type]


def steps_of(of: SimulatedSpeculation | None, *, answer: int = 9, requests: int = 1, **changes: object) -> list[Step]:
    engine = SimulatedEngineCore(engine_settings(speculation=of, **changes))
    for number in range(requests):
        engine.submit(request(f"r{number}", answer=answer), 0.0)
    return run_until_idle(engine)


def tokens_of(steps: list[Step]) -> list[int]:
    return [step.tokens.get("r0", 0) for step in steps if step.tokens]


def test_kept_proposals_come_out_with_the_token_that_is_due() -> None:
    assert tokens_of(steps_of(None, answer=6)) == [1] * 6
    assert tokens_of(steps_of(speculation(3), answer=9)) == [1, 4, 4]


def test_what_is_not_kept_was_computed_in_vain() -> None:
    steps = steps_of(speculation(3, 0.0), answer=5)
    assert tokens_of(steps) == [1] * 5
    # As many are proposed as the answer still needs.
    assert [step.drafts for step in steps if step.drafts.drafts] == [
        DraftCounts(drafts=1, proposed=3, kept=(0, 0, 0)),
        DraftCounts(drafts=1, proposed=2, kept=(0, 0)),
        DraftCounts(drafts=1, proposed=1, kept=(0,)),
    ]
    assert [step.batch_tokens for step in steps if step.tokens] == [4, 4, 3, 2, 1]


def test_counts_are_by_place_in_the_draft() -> None:
    (step,) = (step for step in steps_of(speculation(3), answer=5) if step.drafts.drafts)
    assert step.drafts == DraftCounts(drafts=1, proposed=3, kept=(1, 1, 1))
    assert step.drafts.accepted == 3


def test_the_batch_decides_how_many_are_proposed() -> None:
    by_batch = speculation(3, schedule=((1, 3), (2, 1)))
    assert tokens_of(steps_of(by_batch, answer=5)) == [1, 4]
    assert tokens_of(steps_of(by_batch, answer=5, requests=2)) == [1, 2, 2]
    assert tokens_of(steps_of(by_batch, answer=3, requests=3)) == [1, 1, 1]


def test_a_step_has_room_for_so_many_tokens_only() -> None:
    steps = steps_of(speculation(8), answer=9, requests=2, max_num_batched_tokens=8)
    assert max(step.batch_tokens for step in steps) <= 8


def test_a_step_takes_the_time_of_the_draft_as_well() -> None:
    draft = speculation(3, draft_bytes=GIB // 2)
    chosen = engine_settings(speculation=draft, blocks=640)
    engine = SimulatedEngineCore(chosen)
    engine.submit(request(answer=9), 0.0)
    _, step, *_ = run_until_idle(engine)
    check = roofline_of(chosen.hardware, chosen.model).step_s(batch_tokens=4, context_tokens=8)
    assert step.duration_s == pytest.approx(check + 3 * draft_step_s(chosen))
    assert draft_step_s(chosen) == pytest.approx(0.5 / 0.7 + 0.0005)
    assert draft_step_s(engine_settings(speculation=speculation())) == 0


def test_a_draft_takes_memory() -> None:
    without = kv_budget(engine_settings(blocks=640))
    beside = kv_budget(engine_settings(blocks=640, speculation=speculation(draft_bytes=GIB)))
    assert without.bytes_per_gpu - beside.bytes_per_gpu == GIB


@pytest.mark.parametrize("acceptance", [0.0, 0.25, 0.7, 1.0])
def test_on_average_as_many_are_kept_as_the_acceptance_says(acceptance: float) -> None:
    of = speculation(4, acceptance)
    kept = [of.kept(draft, 4) for draft in range(10_000)]
    assert sum(kept) / len(kept) == pytest.approx(sum(acceptance**place for place in range(1, 5)), abs=0.01)
    assert set(kept) <= {0, 1, 2, 3, 4}


@settings(deadline=None)
@given(
    tokens=st.integers(1, 8),
    acceptance=st.floats(0, 1),
    answers=st.lists(st.integers(1, 20), min_size=1, max_size=8),
    blocks=st.integers(8, 40),
)
def test_every_answer_is_complete_whatever_is_kept(
    tokens: int, acceptance: float, answers: list[int], blocks: int
) -> None:
    """Preemptions, chunks of prompts and proposals beside each other: no token is lost, and none is too much."""
    engine = SimulatedEngineCore(engine_settings(blocks=blocks, speculation=speculation(tokens, acceptance)))
    for number, answer in enumerate(answers):
        engine.submit(request(f"r{number}", prompt=6, answer=answer), 0.0)
    steps = run_until_idle(engine)
    found = {f"r{number}": sum(step.tokens.get(f"r{number}", 0) for step in steps) for number in range(len(answers))}
    assert found == {f"r{number}": answer for number, answer in enumerate(answers)}
    assert engine.kv_cache_usage == 0
