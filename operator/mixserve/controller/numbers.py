"""The live numbers of a pool, for its metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mixserve.api.observation import Missing
from mixserve.api.pool_status import BlockReason
from mixserve.autoscale.fleet import fresh_sample
from mixserve.controller.telemetry import PoolNumbers, VariantNumbers

if TYPE_CHECKING:
    from mixserve.api.observation import PoolObservation, VariantObservation
    from mixserve.autoscale.decision import Decision


def pool_numbers(observation: PoolObservation, decision: Decision) -> PoolNumbers:
    """What the metrics of a pool show after a decision."""
    missing = Counter(
        pod.sample.reason if isinstance(pod.sample, Missing) else "Stale"
        for variant in observation.variants
        for pod in variant.pods
        if pod.ready and fresh_sample(pod, observation.now_s) is None
    )
    return PoolNumbers(
        variants=tuple(_variant(seen, decision, now_s=observation.now_s) for seen in observation.variants),
        demand={term.name: term.replicas for term in decision.demand.terms if term.replicas is not None},
        missing=dict(missing),
    )


def outcome_of(decision: Decision) -> str:
    """The decision in one word of few: up, down, steady, or the reason for which the pool stays as it is."""
    if decision.desired != decision.current:
        return "up" if decision.desired > decision.current else "down"
    return decision.blocked_by or "steady"


def _variant(seen: VariantObservation, decision: Decision, *, now_s: float) -> VariantNumbers:
    samples = [sample for pod in seen.pods if (sample := fresh_sample(pod, now_s)) is not None]
    # A number that nobody vouches for must not drive somebody else's autoscaler.
    held = not decision.informed or decision.blocked_by is BlockReason.METRICS_MISSING
    return VariantNumbers(
        name=seen.name,
        desired=None if held else decision.wanted(seen.name),
        replicas=seen.replicas,
        ready=sum(pod.ready for pod in seen.pods),
        running=sum(sample.running for sample in samples) if samples else None,
        waiting=sum(sample.waiting for sample in samples) if samples else None,
        kv_cache_usage=sum(sample.kv_cache_usage for sample in samples) / len(samples) if samples else None,
    )
