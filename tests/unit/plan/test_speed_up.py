from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.engine import Engine
from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.plan.memory import memory_plan
from mixserve.plan.speed_up import (
    PRIOR_ACCEPTANCE,
    SpeculationSpeed,
    SpeedUp,
    expected_speed_up,
    prior_accepted_length,
)
from support.manifests import LLAMA_8B, LLAMA_70B, placement, pool
from support.pairs import HEAD_CONFIG, MTP_CONFIG, pair, speculations

POOL = pool(speculativePairRef={"name": "pair"})
ENGINE = Engine(max_model_len=16384)


def speed(
    method: str = "DraftModel", *, place: Any = None, facts: Any = LLAMA_8B, context: int = 1400, **spec: Any
) -> SpeculationSpeed:
    files = {"EAGLE3": {"draft": HEAD_CONFIG}, "MTP": {"target": MTP_CONFIG}}.get(method, {})
    of = pair(method, **spec)
    place = place or placement("bf16")
    plan = memory_plan(facts, engine=ENGINE, placement=place, speculation=speculations(POOL, of, **files)["main"])
    found = SpeculationSpeed.of(of.spec, plan, accelerator=place.accelerator, context_tokens=context)
    assert found is not None
    return found


def at(batch: float, of: SpeculationSpeed | None = None, **given: Any) -> SpeedUp:
    return expected_speed_up(of or speed(), batch=batch, **given)


def test_the_formula() -> None:
    of = speed("NGram", tokens=3)
    without = of.model.step_s(batch_tokens=8, context_tokens=8 * 1400)
    checking = of.model.step_s(batch_tokens=32, context_tokens=8 * 1400)
    found = at(8, of, accepted_length=2.5)
    assert found == SpeedUp(tokens=3, accepted_length=2.5, factor=2.5 * without / checking, is_measured=True)


def test_a_draft_takes_its_time() -> None:
    of = speed("DraftModel", tokens=2)
    assert of.draft is not None
    found = at(1, of, accepted_length=2.0)
    step = of.model.step_s(batch_tokens=1, context_tokens=1400)
    checking = of.model.step_s(batch_tokens=3, context_tokens=1400)
    drafting = 2 * of.draft.step_s(batch_tokens=1, context_tokens=1400)
    assert found.factor == pytest.approx(2 * step / (checking + drafting))
    assert of.draft_s(batch=1, tokens=0) == 0


def test_what_works_on_the_cpu_takes_none_of_the_gpus() -> None:
    of = speed("NGram")
    assert of.draft is None
    assert of.draft_s(batch=8, tokens=3) == 0


@pytest.mark.parametrize("method", SpeculationMethod)
def test_every_method_has_a_prior_and_is_faster_alone_on_a_large_model(method: SpeculationMethod) -> None:
    found = at(1, speed(method.value, facts=LLAMA_70B, place=placement(tensor_parallel=2)))
    assert found.factor > 1
    assert not found.is_measured
    assert found.accepted_length == prior_accepted_length(method, 3)


def test_it_hurts_once_a_step_is_bound_by_arithmetic() -> None:
    """An H100 in FP8 computes as long as it reads from some 300 tokens a step on: with k = 3 from a batch of 75."""
    of = speed("EAGLE3", place=placement("fp8"), context=50)
    assert at(1, of).factor > 1.5
    factors = [at(batch, of, accepted_length=2.5).factor for batch in (64, 128, 256, 512)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] < 1


def test_long_requests_keep_it_bound_by_memory() -> None:
    """Their keys and values are read once, however many tokens are checked."""
    long, short = (speed("NGram", place=placement("fp8"), context=tokens) for tokens in (8000, 50))
    assert at(512, long, accepted_length=2.5).factor > 2
    assert at(512, short, accepted_length=2.5).factor < 1


def test_nothing_that_is_kept_makes_it_slower() -> None:
    assert at(8, accepted_length=1.0).factor < 1
    # What no counter can say: a step gives its own token at least.
    assert at(8, accepted_length=0.2) == at(8, accepted_length=1.0)


def test_beyond_the_schedule_there_is_none() -> None:
    of = speed("NGram", batchSchedule=[{"maxBatch": 16, "tokens": 2}])
    assert at(16, of).tokens == 2
    assert at(17, of, accepted_length=2.5) == SpeedUp(tokens=0, accepted_length=1.0, factor=1.0, is_measured=False)


def test_less_than_a_request_is_one() -> None:
    assert at(0.2) == at(1)


def test_what_nobody_knows_has_no_speed() -> None:
    of = pair("DraftModel")
    speculation = speculations(POOL, of, draft=None)["main"]
    plan = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement(), speculation=speculation)
    assert SpeculationSpeed.of(of.spec, plan, accelerator=placement().accelerator, context_tokens=1400) is None


def test_the_prior_is_a_geometric_sum() -> None:
    kept = PRIOR_ACCEPTANCE[SpeculationMethod.MTP]
    assert prior_accepted_length(SpeculationMethod.MTP, 0) == 1
    assert prior_accepted_length(SpeculationMethod.MTP, 2) == pytest.approx(1 + kept + kept**2)
