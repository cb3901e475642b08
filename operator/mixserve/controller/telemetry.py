"""The operator's own metrics: what it does, and the live numbers of every pool, which no status carries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mixserve.controller.speculation_gauges import SpeculationGauges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

    from mixserve.controller.object_cache import PoolKey

# From a pool that needs nothing (below 1 ms) to one whose every object is written while the API server is busy.
_RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class VariantNumbers:
    """A variant right now; None where there is no data.

    Attributes:
        desired: replicas that the decision wants; None while it is held for want of data.
        replicas: `spec.replicas` of the Deployment.
        ready: ready pods.
        running: requests in the batches of its pods.
        waiting: requests in their queues.
        kv_cache_usage: mean share of their KV caches in use, 0 to 1.
    """

    name: str
    desired: int | None
    replicas: int | None
    ready: int
    running: int | None
    waiting: int | None
    kv_cache_usage: float | None


@dataclass(frozen=True, kw_only=True)
class PoolNumbers:
    """A pool right now.

    Attributes:
        demand: replicas that each term asks for.
        missing: ready pods without a fresh sample, by reason.
    """

    variants: tuple[VariantNumbers, ...] = ()
    demand: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)


_VARIANT_GAUGES = {
    "desired": ("mixserve_pool_desired_replicas", "Replicas wanted; absent while there is no data to decide on."),
    "replicas": ("mixserve_pool_replicas", "Replicas that the Deployment asks for."),
    "ready": ("mixserve_pool_ready_replicas", "Replicas that are ready."),
    "running": ("mixserve_pool_running_requests", "Requests in the batches of the replicas."),
    "waiting": ("mixserve_pool_waiting_requests", "Requests in the queues of the replicas."),
    "kv_cache_usage": ("mixserve_pool_kv_cache_usage_ratio", "Mean share of the replicas' KV caches in use."),
}


class PoolGauges(Collector):
    """Shows the newest numbers of each pool; a pool that is dropped leaves no series behind."""

    def __init__(self) -> None:
        self._numbers: dict[PoolKey, PoolNumbers] = {}

    def put(self, key: PoolKey, numbers: PoolNumbers) -> None:
        """Take a pool's newest numbers."""
        self._numbers[key] = numbers

    def drop(self, key: PoolKey) -> None:
        """Forget a pool."""
        self._numbers.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """All series."""
        for attribute, (name, text) in _VARIANT_GAUGES.items():
            yield self._by_variant(attribute, name, text)
        demand = GaugeMetricFamily(
            "mixserve_pool_demand_replicas",
            "Replicas that one term of the demand asks for.",
            labels=("namespace", "pool", "term"),
        )
        missing = GaugeMetricFamily(
            "mixserve_pool_missing_samples",
            "Ready replicas without fresh metrics, by reason.",
            labels=("namespace", "pool", "reason"),
        )
        for key, numbers in self._numbers.items():
            for term, replicas in numbers.demand.items():
                demand.add_metric((*key, term), replicas)
            for reason, count in numbers.missing.items():
                missing.add_metric((*key, reason), count)
        yield from (demand, missing)

    def _by_variant(self, attribute: str, name: str, text: str) -> Metric:
        family = GaugeMetricFamily(name, text, labels=("namespace", "pool", "variant"))
        for key, numbers in self._numbers.items():
            for variant in numbers.variants:
                value = getattr(variant, attribute)
                if value is not None:
                    family.add_metric((*key, variant.name), value)
        return family


class Telemetry:
    """All metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.pools = PoolGauges()
        self.registry.register(self.pools)
        self.speculation = SpeculationGauges()
        self.registry.register(self.speculation)
        self.leader = Gauge("mixserve_leader", "1 while this process holds the Lease.", registry=self.registry)
        self.queue_depth = Gauge("mixserve_queue_depth", "Pools that wait for a worker.", registry=self.registry)
        self.pool_count = Gauge("mixserve_pools", "Pools that exist.", registry=self.registry)
        self._api_calls = Counter(
            "mixserve_api_calls_total",
            "Calls to the API server by verb, resource and HTTP status.",
            ("verb", "resource", "code"),
            registry=self.registry,
        )
        self.scrape_turns = Counter(
            "mixserve_scrape_turns_total",
            "Turns of the beat; twenty make the interval in which each engine is scraped once.",
            registry=self.registry,
        )
        self.decisions = Counter(
            "mixserve_decisions_total",
            "Scale decisions by outcome: up, down, or the reason for which a pool stays as it is.",
            ("outcome",),
            registry=self.registry,
        )
        self.reconciles = Histogram(
            "mixserve_reconcile_duration_seconds",
            "Duration of one look at a pool, by result.",
            ("result",),
            buckets=_RECONCILE_BUCKETS,
            registry=self.registry,
        )
        self.retries = Counter(
            "mixserve_queue_retries_total", "Looks at a pool that failed and are repeated.", registry=self.registry
        )
        self.reviews = Counter(
            "mixserve_webhook_reviews_total",
            "Pools about which the API server asked the webhook, by answer.",
            ("outcome",),
            registry=self.registry,
        )
        self.objects = Counter(
            "mixserve_objects_total",
            "Owned objects looked at, by kind and by what had to be done.",
            ("kind", "outcome"),
            registry=self.registry,
        )

    def count_api_call(self, verb: str, resource: str, code: str) -> None:
        """Count one call to the API server."""
        self._api_calls.labels(verb, resource, code).inc()
