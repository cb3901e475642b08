"""What a replica costs, per hour, per million tokens and per month, and against the price of an API. USD.

A full replica is the best case: what is not asked of it costs as much as what is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixserve.plan.placement import Placement
    from mixserve.plan.prediction import Prediction, Workload

HOURS_PER_MONTH = 730
"""8760 hours of a year by 12, as the calculators of clouds have it."""

SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600

_MILLION = 10**6
_TENTH_OF_A_MILL = Decimal("0.0001")


@dataclass(frozen=True, kw_only=True)
class HourlyPrice:
    """One replica for an hour, in USD; `spot` is None where the GPU is not offered so."""

    on_demand: Decimal
    spot: Decimal | None


@dataclass(frozen=True, kw_only=True)
class TokenPrice:
    """A million tokens from a full replica, in USD on demand.

    Attributes:
        usd: of prompts and answers alike: all of the cost over all of the tokens.
        answer_usd: the same cost over the tokens of the answers alone.
    """

    usd: Decimal
    answer_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class ApiPrice:
    """What an API asks for a million tokens, in USD."""

    prompt: Decimal
    answer: Decimal

    def of_requests(self, requests: Decimal, workload: Workload) -> Decimal:
        """USD for a number of requests."""
        each = self.prompt * workload.prompt_tokens + self.answer * workload.answer_tokens
        return requests * each / _MILLION


@dataclass(frozen=True, kw_only=True)
class Month:
    """A month of requests at a constant rate, served by one variant alone.

    Attributes:
        replicas: full ones that suffice for the rate, and no fewer than the variant's minimum.
        usd: their price on demand.
        api_usd: what an API would ask, or None if there is no price of one.
    """

    replicas: int
    usd: Decimal
    api_usd: Decimal | None


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """From how much on the replica that always runs is cheaper than an API.

    Each further replica has to fill up as far as the first one.

    Attributes:
        requests_per_month: rounded up.
        tokens_per_month: theirs, prompts and answers.
        utilization_percent: the share of what a replica can serve; above 100 the API is always cheaper.
    """

    requests_per_month: int
    tokens_per_month: int
    utilization_percent: Decimal

    @property
    def is_reached(self) -> bool:
        """Whether a replica can serve as much."""
        return self.utilization_percent <= 100  # noqa: PLR2004 - percent


def hourly_price(placement: Placement) -> HourlyPrice:
    """The price of a replica: that of its GPUs."""
    accelerator, gpus = placement.accelerator, placement.tensor_parallel
    spot = accelerator.spot_price_per_hour
    return HourlyPrice(on_demand=accelerator.price_per_hour * gpus, spot=None if spot is None else spot * gpus)


def token_price(price: HourlyPrice, prediction: Prediction) -> TokenPrice:
    """The price of tokens from a full replica."""
    return TokenPrice(
        usd=_per_million(price.on_demand, prediction.tokens_per_s),
        answer_usd=_per_million(price.on_demand, prediction.answer_tokens_per_s),
    )


def month_of(
    requests_per_s: Decimal,
    *,
    price: HourlyPrice,
    prediction: Prediction,
    least_replicas: int,
    workload: Workload,
    api: ApiPrice | None,
) -> Month:
    """A month at a rate (> 0)."""
    needed = math.ceil(requests_per_s / Decimal(prediction.requests_per_s))
    replicas = max(least_replicas, needed)
    requests = requests_per_s * SECONDS_PER_MONTH
    return Month(
        replicas=replicas,
        usd=_cents(replicas * price.on_demand * HOURS_PER_MONTH),
        api_usd=None if api is None else _cents(api.of_requests(requests, workload)),
    )


def break_even(
    api: ApiPrice,
    *,
    price: HourlyPrice,
    prediction: Prediction,
    workload: Workload,
) -> BreakEven | None:
    """Where a replica begins to be cheaper; None where the API is free."""
    each = api.of_requests(Decimal(1), workload)
    if not each:
        return None
    requests = price.on_demand * HOURS_PER_MONTH / each
    capacity = Decimal(prediction.requests_per_s) * SECONDS_PER_MONTH
    whole = int(requests.to_integral_value(ROUND_CEILING))
    return BreakEven(
        requests_per_month=whole,
        tokens_per_month=whole * workload.tokens,
        utilization_percent=(100 * requests / capacity).quantize(Decimal("0.1"), ROUND_CEILING),
    )


def _per_million(usd_per_hour: Decimal, tokens_per_s: float) -> Decimal:
    usd = usd_per_hour * _MILLION / (Decimal(tokens_per_s) * 3600)
    return usd.quantize(_TENTH_OF_A_MILL, ROUND_HALF_EVEN)


def _cents(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
