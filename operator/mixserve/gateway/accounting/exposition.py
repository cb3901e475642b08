"""The sums as Prometheus' metrics."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from mixserve.gateway.accounting.totals import DURATION_BUCKETS_S, FIRST_BYTE_BUCKETS_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from mixserve.gateway.accounting.ledger import Ledger
    from mixserve.gateway.accounting.totals import Histogram, Sums

_WHERE = ("policy", "tier", "pool")

_COUNTERS: tuple[tuple[str, str, Callable[[Sums], float]], ...] = (
    ("cost_usd", "USD for tokens, by the prices of the pool that answered.", lambda s: float(s.cost_usd)),
    (
        "dearest_cost_usd",
        "USD that the same tokens would have cost from the largest tier of the policy.",
        lambda s: float(s.dearest_cost_usd),
    ),
    ("retries", "Tries beyond the first, on whatever replica or pool.", lambda s: s.retries),
    ("broken_answers", "Answers within which the engine failed.", lambda s: s.broken_off),
    ("requests_without_usage", "Requests that a pool answered without telling tokens.", lambda s: s.without_usage),
)

_HISTOGRAMS: tuple[tuple[str, str, tuple[float, ...], Callable[[Sums], Histogram]], ...] = (
    (
        "duration_seconds",
        "From the request's first byte to the answer's last.",
        DURATION_BUCKETS_S,
        lambda s: s.duration,
    ),
    (
        "time_to_first_token_seconds",
        "From the request's first byte to the first one of a streamed answer.",
        FIRST_BYTE_BUCKETS_S,
        lambda s: s.first_byte,
    ),
)


class LedgerCollector(Collector):
    """Shows a ledger; names begin with mixserve_gateway_."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        requests = _counter("requests", "Requests, by who decided, who answered, and with what.", (*_WHERE, "code"))
        tokens = _counter("tokens", "Tokens; prompt are those that the prefix cache did not have.", (*_WHERE, "kind"))
        counters = [_counter(name, text, _WHERE) for name, text, _ in _COUNTERS]
        histograms = [
            HistogramMetricFamily(f"mixserve_gateway_{name}", text, labels=_WHERE) for name, text, *_ in _HISTOGRAMS
        ]
        for where, sums in self._ledger.sums():
            labels = [where.policy, where.tier, where.pool]
            for code, count in sums.codes.items():
                requests.add_metric([*labels, code], count)
            for kind in ("prompt", "cached", "completion"):
                tokens.add_metric([*labels, kind], getattr(sums, f"{kind}_tokens"))
            for family, (_, _, value) in zip(counters, _COUNTERS, strict=True):
                family.add_metric(labels, value(sums))
            for histogram, (_, _, bounds, read) in zip(histograms, _HISTOGRAMS, strict=True):
                histogram.add_metric(labels, _buckets(read(sums), bounds), read(sums).total)
        yield from (requests, tokens, *counters, *histograms, self._decisions(), self._unreadable())

    def _decisions(self) -> Metric:
        labels = ("policy", "tier", "cause", "complexity")
        family = _counter("decisions", "Decisions of policies.", labels)
        for kind, count in self._ledger.decisions():
            family.add_metric([kind.policy, kind.tier, kind.cause, kind.complexity], count)
        return family

    def _unreadable(self) -> Metric:
        family = _counter("unreadable_log_lines", "Lines of Envoy's access log that could not be read.", ())
        family.add_metric([], self._ledger.unreadable)
        return family


def _counter(name: str, text: str, labels: tuple[str, ...]) -> CounterMetricFamily:
    return CounterMetricFamily(f"mixserve_gateway_{name}", text, labels=labels)


def _buckets(histogram: Histogram, bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    names = [*map(floatToGoString, bounds), "+Inf"]
    return list(zip(names, accumulate(histogram.counts), strict=True))
