from decimal import Decimal

import pytest

from mixserve.plan.cost import (
    SECONDS_PER_MONTH,
    ApiPrice,
    HourlyPrice,
    break_even,
    hourly_price,
    month_of,
    token_price,
)
from mixserve.plan.placement import Placement
from mixserve.plan.prediction import Prediction, Workload
from support.manifests import accelerator_like, placement

THOUSAND = Workload(prompt_tokens=800, answer_tokens=200)
PRICE = HourlyPrice(on_demand=Decimal("3.60"), spot=None)
API = ApiPrice(prompt=Decimal("0.50"), answer=Decimal(2))


def prediction(requests_per_s: float, workload: Workload = THOUSAND) -> Prediction:
    return Prediction(
        batch=1,
        tpot_s=0.01,
        tpot_alone_s=0.01,
        ttft_s=0.1,
        ttft_alone_s=0.1,
        requests_per_s=requests_per_s,
        tokens_per_s=requests_per_s * workload.tokens,
        answer_tokens_per_s=requests_per_s * workload.answer_tokens,
    )


def month(rate: str, *, capacity: float = 2.0, least: int = 0, api: ApiPrice | None = None):
    return month_of(
        Decimal(rate),
        price=PRICE,
        prediction=prediction(capacity),
        least_replicas=least,
        workload=THOUSAND,
        api=api,
    )


def on(entry, gpus: int = 1) -> Placement:
    usual = placement(tensor_parallel=gpus)
    return Placement(**{**{name: getattr(usual, name) for name in vars(usual)}, "accelerator": entry.spec})


def test_a_replica_costs_what_its_gpus_cost():
    entry = accelerator_like("mine", pricePerHour="2.5", spotPricePerHour="1.1")

    assert hourly_price(on(entry, 4)) == HourlyPrice(on_demand=Decimal(10), spot=Decimal("4.4"))


def test_without_spot_capacity_there_is_no_spot_price():
    entry = accelerator_like("mine", pricePerHour="2.5", spotPricePerHour=None)

    assert hourly_price(on(entry, 4)) == HourlyPrice(on_demand=Decimal(10), spot=None)


def test_a_million_tokens_cost_the_time_that_they_take():
    # 1000 tokens a second are a million in 1000 s, at 3.60 USD for 3600 s; every fifth is of an answer.
    found = token_price(PRICE, prediction(1.0))

    assert (found.usd, found.answer_usd) == (Decimal("1.0000"), Decimal("5.0000"))


@pytest.mark.parametrize(
    ("rate", "least", "replicas"), [("0.1", 0, 1), ("2", 0, 1), ("2.1", 0, 2), ("9", 0, 5), ("0.1", 3, 3)]
)
def test_a_month_has_the_replicas_that_suffice_and_no_fewer_than_the_minimum(rate, least, replicas):
    found = month(rate, least=least)

    assert (found.replicas, found.usd) == (replicas, replicas * Decimal("3.60") * 730)
    assert found.api_usd is None


def test_the_same_month_from_an_api_costs_its_tokens():
    # 800 x 0.50 and 200 x 2 USD per million: 0.0008 USD a request.
    assert month("1", api=API).api_usd == Decimal("0.0008") * SECONDS_PER_MONTH


def test_a_replica_is_cheaper_from_where_its_price_buys_as_many_requests_of_the_api():
    found = break_even(API, price=PRICE, prediction=prediction(2.0), workload=THOUSAND)

    assert found.requests_per_month == 3_285_000  # 2628 USD a month / 0.0008 USD
    assert found.tokens_per_month == 3_285_000_000
    assert found.utilization_percent == Decimal("62.5")  # of 5 256 000
    assert found.is_reached


def test_a_replica_that_can_not_serve_as_much_is_never_cheaper():
    found = break_even(API, price=PRICE, prediction=prediction(1.0), workload=THOUSAND)

    assert (found.utilization_percent, found.is_reached) == (Decimal("125.0"), False)


def test_nothing_is_cheaper_than_what_is_free():
    free = ApiPrice(prompt=Decimal(0), answer=Decimal(0))

    assert break_even(free, price=PRICE, prediction=prediction(1.0), workload=THOUSAND) is None
