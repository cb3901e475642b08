"""What a namespace's gateways have counted for a policy: requests, tokens and what they cost."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from mixserve.api.gateway_names import REQUESTS_METRIC
from mixserve_devcluster.errors import DevClusterError

_TOKENS_METRIC = "mixserve_gateway_tokens_total"
_COST_METRIC = "mixserve_gateway_cost_usd_total"
_DEAREST_METRIC = "mixserve_gateway_dearest_cost_usd_total"
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)


class SpendingError(DevClusterError):
    """A gateway does not say what it has counted."""


@dataclass(frozen=True)
class Spending:
    """What requests came to.

    Attributes:
        requests: with whatever answer.
        prompt_tokens: with those from the prefix cache.
        completion_tokens: of answers.
        cost_usd: by the prices of the pools that answered.
        dearest_cost_usd: what the same tokens would have cost from the policy's largest tier.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    dearest_cost_usd: Decimal = Decimal(0)

    def __add__(self, other: "Spending") -> "Spending":
        """Both together."""
        return Spending(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            dearest_cost_usd=self.dearest_cost_usd + other.dearest_cost_usd,
        )

    @property
    def saved_percent(self) -> float | None:
        """Of what the largest tier would have cost; None where that is not known."""
        return float(100 * (1 - self.cost_usd / self.dearest_cost_usd)) if self.dearest_cost_usd else None


def total(spent: Iterable[Spending]) -> Spending:
    """All together."""
    return reduce(Spending.__add__, spent, Spending())


async def read_spending(session: aiohttp.ClientSession, urls: Iterable[str], policy: str) -> dict[str, Spending]:
    """What gateways have counted for a policy, by tier; the empty name is for requests that got none.

    Args:
        session: for one request to each.
        urls: of their metrics pages.
        policy: its name.

    Raises:
        SpendingError: one of them does not answer, or with something else.
    """
    pages = await asyncio.gather(*(_page(session, url) for url in urls))
    found: dict[str, Spending] = {}
    for page in pages:
        for tier, spent in spending_on(page, policy).items():
            found[tier] = found.get(tier, Spending()) + spent
    return found


async def _page(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url, timeout=_TIMEOUT, raise_for_status=True) as response:
            return await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SpendingError(f"a gateway does not say what it has counted: {error!r}") from error


def spending_on(page: str, policy: str) -> dict[str, Spending]:
    """What one gateway's metrics page says for a policy, by tier."""
    found: dict[str, Spending] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.labels.get("policy") == policy:
                tier = sample.labels["tier"]
                found[tier] = found.get(tier, Spending()) + _counted(sample.name, sample.labels, sample.value)
    return found


def _counted(name: str, labels: Mapping[str, str], value: float) -> Spending:
    fields: dict[str, Any] = {}
    if name == REQUESTS_METRIC:
        fields["requests"] = int(value)
    elif name == _TOKENS_METRIC:
        fields["completion_tokens" if labels["kind"] == "completion" else "prompt_tokens"] = int(value)
    elif name == _COST_METRIC:
        fields["cost_usd"] = Decimal(str(value))
    elif name == _DEAREST_METRIC:
        fields["dearest_cost_usd"] = Decimal(str(value))
    return Spending(**fields)
