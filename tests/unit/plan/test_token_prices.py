from __future__ import annotations

from decimal import Decimal

import pytest

from mixserve.api.engine import Batching, Engine
from mixserve.plan.cost import hourly_price, token_price
from mixserve.plan.memory import memory_plan
from mixserve.plan.prediction import Workload, predict
from mixserve.plan.token_prices import split_price
from support.manifests import LLAMA_8B, LLAMA_70B, placement, pool
from support.pairs import pair, speculations

ENGINE = Engine(max_model_len=16384)


def prices(facts=LLAMA_8B, place=None, *, engine=ENGINE, speculation=None):
    place = place or placement()
    plan = memory_plan(facts, engine=engine, placement=place, speculation=speculation)
    pair = None if speculation is None else speculation.spec
    return split_price(plan, placement=place, engine=engine, pair=pair)


def test_both_together_are_what_the_replica_costs():
    found, workload, place = prices(), Workload(), placement()
    plan = memory_plan(LLAMA_8B, engine=ENGINE, placement=place)
    prediction = predict(plan, accelerator=place.accelerator, engine=ENGINE, workload=workload)
    request = found.prompt * workload.prompt_tokens + found.completion * workload.answer_tokens
    whole = token_price(hourly_price(place), prediction).usd * workload.tokens
    assert float(request) == pytest.approx(float(whole), rel=2e-3)  # the latter is rounded to a tenth of a mill


def test_answers_are_dearer_than_prompts_and_cached_ones_cost_next_to_nothing():
    found = prices()
    assert 2 * found.prompt < found.completion < 20 * found.prompt
    assert 0 < found.cached_prompt < found.prompt / 50


def test_a_larger_model_is_dearer():
    small, large = prices(), prices(LLAMA_70B, placement(tensor_parallel=2))
    assert large.prompt > small.prompt
    assert large.completion > small.completion


def test_prices_follow_that_of_the_gpu():
    place = placement()
    double = place.accelerator.model_copy(update={"price_per_hour": place.accelerator.price_per_hour * 2})
    dear = type(place)(weights=place.weights, row=place.row, accelerator=double, tensor_parallel=place.tensor_parallel)
    assert float(prices(place=dear).prompt) == pytest.approx(float(2 * prices().prompt), abs=2e-6)


def test_a_context_shorter_than_the_usual_request_makes_it_shorter():
    found = prices(engine=Engine(max_model_len=128))
    assert found is not None
    assert found.completion > Decimal(0)


def test_what_does_not_fit_has_no_price():
    assert prices(LLAMA_70B, placement("bf16", "l4")) is None


def test_speculation_shifts_the_price_to_the_prompts():
    # Few requests at once: with many, nothing is proposed.
    engine = Engine(max_model_len=16384, batching=Batching(max_sequences=4))
    speculation = speculations(pool(speculativePairRef={"name": "pair"}), pair("NGram"))["main"]
    with_pair = prices(engine=engine, speculation=speculation)
    without = prices(engine=engine)
    assert with_pair.completion / with_pair.prompt < without.completion / without.prompt
