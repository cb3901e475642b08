from decimal import Decimal

import pytest

from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.cost import ApiPrice
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.forecast import Question, forecast, seconds
from mixserve.plan.prediction import Workload
from support.manifests import LLAMA_8B, facts_for, pool, variant

CHAT = Workload()
H100 = variant("h100", replicas={"min": 1, "max": 4})
L4 = variant("l4", quantization="int4-awq", accelerator="l4", replicas={"min": 1, "max": 4})


def forecasted(*variants, facts=LLAMA_8B, wrong=(), engine=None, workload=CHAT, task="Generate", **question):
    manifest = pool(*variants, engine=engine or {"maxModelLen": 8192}, task=task)
    return forecast(
        manifest,
        catalog=built_in_catalog(),
        facts_by_variant=facts_for(manifest, facts),
        wrong_variants=frozenset(wrong),
        question=Question(workload=workload, **question),
    )


def only(*args, **kwargs):
    (found,) = forecasted(*args, **kwargs).variants
    return found


def test_a_variant_that_fits_has_speed_and_price():
    found = only(H100)

    assert (found.fits, found.tensor_parallel, found.obstacle) == (True, 1, "")
    assert found.price.on_demand == Decimal("6.88")
    assert found.outlook.prediction.batch > 100
    assert (found.outlook.month, found.outlook.break_even) == (None, None)


def test_a_request_for_an_embedding_is_its_prompt():
    embedding, short = only(H100, task="Embed"), only(H100, workload=Workload(answer_tokens=1))

    assert embedding == short != only(H100)


def test_the_largest_context_is_what_cache_and_model_both_take():
    assert only(H100).largest_context_tokens == 131072
    assert only(L4).largest_context_tokens == only(L4).memory.kv_capacity_tokens < 131072


@pytest.mark.parametrize("facts", [UnknownFacts("why"), InvalidFacts(("what",))])
def test_without_numbers_nothing_is_predicted_and_nobody_says_that_it_fits(facts):
    found = forecasted(H100, facts=facts)

    (one,) = found.variants
    assert (one.fits, one.memory, one.outlook, one.largest_context_tokens) == (None, None, None, None)
    assert one.price.on_demand == Decimal("6.88")
    assert one.obstacle == "the model's numbers are unknown"
    assert (found.parameters, found.best) == (None, None)


def test_what_is_not_in_the_catalogue_has_no_numbers():
    found = only(variant("main", accelerator="none-such"))

    assert (found.fits, found.tensor_parallel, found.price, found.obstacle) == (False, None, None, "it has violations")


def test_where_nobody_can_tell_the_number_of_gpus_nothing_is_known():
    found = only(variant("main", tensorParallel="auto"), facts=UnknownFacts("why"), wrong=["main"])

    assert (found.fits, found.tensor_parallel, found.price) == (None, None, None)
    assert found.obstacle == "the model's numbers are unknown"


def test_a_variant_with_violations_does_not_start_whatever_its_memory():
    found = only(H100, wrong=["h100"])

    assert found.memory.fits
    assert (found.fits, found.outlook, found.obstacle) == (False, None, "it has violations")


def test_a_model_that_is_too_large_does_not_fit():
    found = only(L4, engine={"maxModelLen": 131072}, wrong=["l4"])

    assert (found.fits, found.outlook) == (False, None)


def test_requests_longer_than_the_context_can_not_be_served():
    found = only(H100, engine={"maxModelLen": 1024})

    assert (found.fits, found.outlook) == (True, None)
    assert found.obstacle == "a request may not have the 1366 tokens of prompt and answer"


def test_the_cheapest_tokens_are_best_without_a_rate():
    found = forecasted(L4, H100)

    assert found.best is found.variants[1]
    assert found.parameters == LLAMA_8B.parameters


def test_the_cheapest_month_is_best_at_a_rate():
    found = forecasted(H100, L4, requests_per_s=Decimal("0.5"))

    assert found.best is found.variants[1]
    assert found.best.outlook.month.usd == Decimal("587.50")
    assert found.best.outlook.ranking == Decimal("587.50")


def test_the_first_of_equals_is_best():
    found = forecasted(variant("a"), variant("b"))

    assert found.best is found.variants[0]


def test_a_variant_that_may_not_grow_as_far_is_not_chosen():
    found = forecasted(L4, requests_per_s=Decimal(100))

    assert found.best is None
    assert found.variants[0].obstacle.startswith("the rate needs ")
    assert found.variants[0].obstacle.endswith("replicas, and its maximum is 4")


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ({"longest_ttft_s": 0.2}, "its TTFT is longer than 200 ms"),
        ({"longest_tpot_s": 0.1}, "its TPOT is longer than 100 ms"),
    ],
)
def test_a_variant_that_is_too_slow_is_not_chosen(bound, words):
    found = forecasted(L4, H100, **bound)

    assert found.variants[0].obstacle == words
    assert found.best is found.variants[1]


def test_bounds_that_are_met_exclude_nothing():
    assert only(H100, longest_ttft_s=60.0, longest_tpot_s=60.0, requests_per_s=Decimal(1)).obstacle == ""


def test_with_the_price_of_an_api_there_is_a_break_even():
    found = only(H100, api=ApiPrice(prompt=Decimal(1), answer=Decimal(2)))

    assert found.outlook.break_even.is_reached


def test_times_are_told_in_the_unit_that_suits_them():
    assert (seconds(2), seconds(0.0355)) == ("2.00 s", "35.5 ms")
