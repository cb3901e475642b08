"""Signals to demand: the replicas that the load asks for, absolute, each term with its reason.

With one variant and over fresh pods, where b is the requests that a replica carries (see `memory`):

    running = (sum of running + max(0, sum of waiting - waitingRequestsPerReplica * ready)) / b
    kvCache = sum over replicas of KV usage / (kvCacheUsagePercent / 100)
    x       = max(running, kvCache, minimum)

With several variants both loads become work in requests, so that replicas of different capacity can carry it: a KV
load of one replica of variant v is worth b_v requests. The ladder turns work into replicas.

The load is read twice. *Growing* counts what is known: a pod without fresh data adds 0, a draining pod's requests
finish where they are. *Shrinking* is cautious: a ready or draining pod without fresh data counts as full, every
waiting request counts, and so do the requests of draining pods, because their successors will come to the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mixserve.api.observation import EngineSample
from mixserve.api.pool import AutoscalingTargets
from mixserve.autoscale.fleet import VariantFleet, fresh_sample, is_unread
from mixserve.autoscale.ladder import Ladder


class TermName(StrEnum):
    """What can decide the size of a pool."""

    MINIMUM = "minimum"
    RUNNING = "running"
    KV_CACHE = "kvCache"


@dataclass(frozen=True)
class Term:
    """The replicas that one term alone asks for (>= 0), or None where there is no data.

    `detail` says how the number came about, `formula` the same in a few characters.
    """

    name: TermName
    replicas: float | None
    detail: str
    formula: str


@dataclass(frozen=True)
class Demand:
    """All terms, and the one that asks for most; where two ask for the same, the first of `TermName`."""

    terms: tuple[Term, ...]
    binding: TermName

    @property
    def replicas(self) -> float:
        """What the binding term asks for: x."""
        return max(term.replicas for term in self.terms if term.replicas is not None)


@dataclass(frozen=True)
class Load:
    """What the pods say.

    Attributes:
        running: requests in the batches, as far as known.
        excess_waiting: waiting requests beyond what the targets allow, as far as known.
        kv_replicas: KV usage in replicas that are as full as the targets allow, as far as known.
        kv_work: the same in requests.
        shrinking: work in requests, cautiously; never less than `growing`.
        ready: ready pods.
        unknown: ready pods without fresh data.
        unread: those of them that became ready just now and were not asked yet.
        blind: no pod has fresh data.
    """

    running: int
    excess_waiting: int
    kv_replicas: float
    kv_work: float
    shrinking: float
    ready: int
    unknown: int
    unread: int
    blind: bool

    @property
    def running_work(self) -> int:
        """Running and excess waiting requests."""
        return self.running + self.excess_waiting

    @property
    def growing(self) -> float:
        """Work in requests, as far as known."""
        return max(self.running_work, self.kv_work)

    @property
    def mostly_unknown(self) -> bool:
        """More than half of the ready pods have no fresh data, or nothing is known at all."""
        return self.blind or 2 * self.unknown > self.ready


@dataclass(frozen=True)
class _VariantLoad:
    """One variant's share of the load; `lost` are pods that count as full when shrinking."""

    capacity: float
    samples: tuple[EngineSample, ...]
    ready_samples: int
    draining_samples: tuple[EngineSample, ...]
    ready: int
    lost: int
    unread: int


def read_load(
    *,
    fleets: Sequence[VariantFleet],
    capacities: Mapping[str, float],
    targets: AutoscalingTargets,
    now_s: float,
) -> Load:
    """Add up what the pods say.

    Args:
        fleets: the variants, in the order of the spec.
        capacities: requests that a replica of each variant carries, > 0.
        targets: what a replica should carry.
        now_s: seconds since the epoch.
    """
    parts = [_read_variant(fleet, capacity=capacities[fleet.name], now_s=now_s) for fleet in fleets]
    samples = [sample for part in parts for sample in part.samples]
    allowed = targets.waiting_requests_per_replica * sum(part.ready_samples for part in parts)
    running = sum(sample.running for sample in samples)
    waiting = sum(sample.waiting for sample in samples)
    excess = max(0, waiting - allowed)
    full = targets.kv_cache_usage_percent / 100
    cautious = [(part, (*part.samples, *part.draining_samples)) for part in parts]
    cautious_requests = sum(
        sum(sample.running + sample.waiting for sample in seen) + part.lost * part.capacity for part, seen in cautious
    )
    cautious_kv = sum(part.capacity * (_usage(seen) / full + part.lost) for part, seen in cautious)
    ready = sum(part.ready for part in parts)
    return Load(
        running=running,
        excess_waiting=excess,
        kv_replicas=_usage(samples) / full,
        kv_work=sum(part.capacity * _usage(part.samples) / full for part in parts),
        shrinking=max(cautious_requests, cautious_kv),
        ready=ready,
        unknown=ready - sum(part.ready_samples for part in parts),
        unread=sum(part.unread for part in parts),
        blind=not samples,
    )


def _read_variant(fleet: VariantFleet, *, capacity: float, now_s: float) -> _VariantLoad:
    ready = [fresh_sample(pod, now_s) for pod in fleet.serving]
    unready = [fresh_sample(pod, now_s) for pod in (*fleet.starting, *fleet.stuck)]
    draining = [fresh_sample(pod, now_s) for pod in fleet.draining]
    return _VariantLoad(
        capacity=capacity,
        samples=tuple(sample for sample in (*ready, *unready) if sample is not None),
        ready_samples=sum(sample is not None for sample in ready),
        draining_samples=tuple(sample for sample in draining if sample is not None),
        ready=len(ready),
        lost=sum(sample is None for sample in (*ready, *draining)),
        unread=sum(is_unread(pod) for pod in fleet.serving),
    )


def _usage(samples: Sequence[EngineSample]) -> float:
    return sum(sample.kv_cache_usage for sample in samples)


def demand(
    load: Load,
    *,
    ladder: Ladder,
    capacities: Mapping[str, float],
    targets: AutoscalingTargets,
) -> Demand:
    """The terms of the demand, minimum first, and which of them binds."""
    terms = (
        Term(
            name=TermName.MINIMUM,
            replicas=float(ladder.minimum),
            detail="the sum of replicas.min of the variants",
            formula=f"{ladder.minimum}",
        ),
        _running_term(load, ladder=ladder, capacities=capacities),
        _kv_term(load, ladder=ladder, targets=targets),
    )
    known = [term for term in terms if term.replicas is not None]
    return Demand(terms=terms, binding=max(known, key=lambda term: term.replicas or 0.0).name)


def _running_term(load: Load, *, ladder: Ladder, capacities: Mapping[str, float]) -> Term:
    if load.blind:
        return _unknown(TermName.RUNNING, load)
    replicas = ladder.position(load.running_work)
    rounded = {name: f"{round(capacity, 1):g}" for name, capacity in capacities.items()}
    carried = ", ".join(f"{name} {capacity}" for name, capacity in rounded.items())
    divisor = "/" + "".join(rounded.values()) if len(rounded) == 1 else ""
    return Term(
        name=TermName.RUNNING,
        replicas=replicas,
        detail=f"{load.running} running and {load.excess_waiting} waiting beyond the target; "
        f"requests that a replica carries: {carried}",
        formula=f"{load.running_work}{divisor} = {replicas:.1f}",
    )


def _kv_term(load: Load, *, ladder: Ladder, targets: AutoscalingTargets) -> Term:
    if load.blind:
        return _unknown(TermName.KV_CACHE, load)
    replicas = ladder.position(load.kv_work)
    return Term(
        name=TermName.KV_CACHE,
        replicas=replicas,
        detail=f"KV-cache usage of the replicas fills {load.kv_replicas:.2f} at the target of "
        f"{targets.kv_cache_usage_percent} %",
        formula=f"{replicas:.1f}",
    )


def _unknown(name: TermName, load: Load) -> Term:
    detail = f"no fresh data from {load.ready} ready replicas" if load.ready else "no replica is ready"
    return Term(name=name, replicas=None, detail=detail, formula="unknown")
