"""What a recording adds up to, in words too, and whether that is what the demo has to show."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from mixserve.api.pool_status import PriceSource
from mixserve_devcluster.demo.recording import Recording, percentile
from mixserve_devcluster.demo.spending import Spending, total


@dataclass(frozen=True)
class PoolSizes:
    """How many replicas a pool had.

    Attributes:
        replica_hours: the area under the wanted replicas.
        peak_replica_hours: what the peak, held all the time, would have taken.
    """

    smallest: int
    peak: int
    last: int
    replica_hours: float
    peak_replica_hours: float

    @property
    def grew(self) -> bool:
        """Whether it was ever larger than at its smallest."""
        return self.peak > self.smallest


@dataclass(frozen=True)
class Summary:
    """A run in numbers.

    Attributes:
        pools: by name.
        spending: by tier, from the cheapest; empty without a gateway.
        prices: of a million tokens, by pool.
    """

    requests: int
    failed: int
    errors: tuple[str, ...]
    answer_tokens: int
    ttft_median_s: float | None
    ttft_p95_s: float | None
    pools: Mapping[str, PoolSizes]
    spending: Mapping[str, Spending]
    prices: Mapping[str, Mapping[str, str]]

    @property
    def spent(self) -> Spending:
        """All tiers together."""
        return total(self.spending.values())


def summarise(recording: Recording) -> Summary:
    """Add a recording up."""
    ttfts = [result.ttft_s for result in recording.results if result.ttft_s is not None]
    failed = [result for result in recording.results if result.error]
    return Summary(
        requests=len(recording.results),
        failed=len(failed),
        errors=tuple(dict.fromkeys(result.error for result in failed))[:5],
        answer_tokens=sum(result.answer_tokens for result in recording.results),
        ttft_median_s=median(ttfts) if ttfts else None,
        ttft_p95_s=percentile(ttfts, 0.95),
        pools=_sizes(recording),
        spending=recording.spending,
        prices=recording.prices,
    )


def _sizes(recording: Recording) -> dict[str, PoolSizes]:
    times = [sample.at_s for sample in recording.samples]
    found = {}
    for name, replicas in recording.of_pools("replicas").items():
        steps = zip(replicas, times, times[1:], strict=False)
        found[name] = PoolSizes(
            smallest=min(replicas),
            peak=max(replicas),
            last=replicas[-1],
            replica_hours=sum(count * (after - before) for count, before, after in steps) / 3600,
            peak_replica_hours=max(replicas) * (times[-1] - times[0]) / 3600,
        )
    return found


def failures(summary: Summary) -> list[str]:
    """Why the demo did not show what it has to show; empty if it did."""
    reasons = []
    if not summary.requests:
        reasons.append("no request was sent")
    if summary.failed:
        reasons.append(f"{summary.failed} of {summary.requests} requests failed: {'; '.join(summary.errors)}")
    return [*reasons, *_size_failures(summary.pools), *(_spending_failures(summary) if summary.spending else [])]


def _size_failures(pools: Mapping[str, PoolSizes]) -> list[str]:
    if not any(sizes.grew for sizes in pools.values()):
        stayed = ", ".join(f"{name} stayed at {sizes.peak}" for name, sizes in pools.items())
        return [f"no pool scaled up: {stayed or 'none was seen'}"]
    return [
        f"{name} did not scale down again: it ended at {sizes.last}"
        for name, sizes in pools.items()
        if sizes.last != sizes.smallest
    ]


def _spending_failures(summary: Summary) -> list[str]:
    reasons = [f"tier {tier} got no request" for tier, spent in summary.spending.items() if not spent.requests]
    if summary.spent.requests != summary.requests:
        reasons.append(f"the gateways counted {summary.spent.requests} of {summary.requests} requests")
    if (summary.spent.saved_percent or 0.0) <= 0.0:
        reasons.append("nothing was saved against the largest tier")
    return reasons


def summary_rows(summary: Summary) -> list[tuple[str, str]]:
    """The summary as pairs of name and value, for people; one without a name goes on with the one before."""
    return [
        ("Requests", f"{summary.requests}, {summary.failed} failed"),
        ("Answer tokens", f"{summary.answer_tokens:,}"),
        ("TTFT", f"median {_seconds(summary.ttft_median_s)}, p95 {_seconds(summary.ttft_p95_s)}"),
        ("Replicas", "; ".join(f"{name} {_size_words(sizes)}" for name, sizes in summary.pools.items())),
        *[("Replica hours", _hour_words(name, sizes)) for name, sizes in summary.pools.items() if sizes.grew],
        *(_spending_rows(summary) if summary.spending else []),
    ]


def _size_words(sizes: PoolSizes) -> str:
    return f"{sizes.smallest} to {sizes.peak}, {sizes.last} at the end" if sizes.grew else str(sizes.peak)


def _hour_words(name: str, sizes: PoolSizes) -> str:
    return f"{name} {sizes.replica_hours:.3f}; its peak held all the time: {sizes.peak_replica_hours:.3f}"


def _spending_rows(summary: Summary) -> list[tuple[str, str]]:
    spent, largest = summary.spent, list(summary.spending)[-1]
    saved = "not known" if spent.saved_percent is None else f"{spent.saved_percent:.0f} %"
    return [
        *[(f"Tier {tier}", _tier_words(one, spent.requests)) for tier, one in summary.spending.items()],
        ("Cost", f"{spent.cost_usd:.4f} USD; always {largest}: {spent.dearest_cost_usd:.4f} USD; saved {saved}"),
        ("Prices", f"USD per million tokens of prompts + answers: {_price_words(summary.prices)}"),
        *([("", _PREDICTED)] if any(map(_is_predicted, summary.prices.values())) else []),
    ]


def _tier_words(spent: Spending, requests: int) -> str:
    share = spent.requests / requests if requests else 0.0
    tokens = f"{spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens of prompts + answers"
    return f"{share:.0%} of the requests, {tokens}, {spent.cost_usd:.4f} USD"


_PREDICTED = "predicted for full replicas, from the prices of GPUs and a roofline; nothing was measured on a GPU"


def _is_predicted(prices: Mapping[str, str]) -> bool:
    return prices.get("source") == PriceSource.PREDICTED


def _price_words(prices: Mapping[str, Mapping[str, str]]) -> str:
    return ", ".join(f"{pool} {_usd(one)}" for pool, one in prices.items())


def _usd(prices: Mapping[str, str]) -> str:
    """As a pool's status has them."""
    if not prices:
        return "not known"
    return f"{Decimal(prices['promptPerMillion']):.3f} + {Decimal(prices['completionPerMillion']):.3f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
