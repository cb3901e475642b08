"""The status of a pool, equal to the one before unless something changed that people act on.

Live numbers belong to the operator's metrics. The last decision is kept, with the numbers of its time, until the
desired size, the binding term, the blocking reason or which terms are known is another one; so an idle fleet writes
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from mixserve.api.observation import PoolObservation
from mixserve.api.pool import Variant
from mixserve.api.pool_status import (
    Condition,
    LastDecision,
    LearnedCapacity,
    PoolPrices,
    PoolStatus,
    ScaleTerm,
    VariantStatus,
)
from mixserve.autoscale.decision import Decision
from mixserve.autoscale.demand import Term
from mixserve.autoscale.memory import Learned
from mixserve.status.rfc3339 import to_rfc3339
from mixserve.status.workload import ready_replicas

_CENT = Decimal("0.01")
UNKNOWN = "unknown"
"""A term of the demand for which there is no data."""


@dataclass(frozen=True)
class Outcome:
    """What this pass saw, decided and did.

    Attributes:
        observation: its variants in the order of the spec.
        decision: about these variants.
        replicas_written: a Deployment's replicas were changed, or a Deployment was created, because of the decision.
        learned: by variant, what a replica was seen to carry.
    """

    observation: PoolObservation
    decision: Decision
    replicas_written: bool
    learned: Mapping[str, Learned] = field(default_factory=dict)


def build_status(
    *,
    previous: PoolStatus | None,
    generation: int,
    conditions: tuple[Condition, ...],
    variants: Sequence[Variant],
    outcome: Outcome | None,
    deployments: Mapping[str, str],
    prices: Mapping[str, Decimal],
    now_s: float,
    token_prices: PoolPrices | None = None,
) -> PoolStatus:
    """The new status; write it if it differs from `previous`.

    Args:
        previous: the pool's status, or None if it has none yet.
        generation: of the pool that was looked at.
        conditions: what `build_conditions` returned.
        variants: the spec's.
        outcome: what was seen, decided and done; None if the spec could not be acted on: sizes then stay as they were.
        deployments: by variant, the name of its Deployment.
        prices: by AcceleratorClass, USD per GPU and hour.
        now_s: seconds since the epoch.
        token_prices: what tokens cost, or None where it is not known.
    """
    before = previous or PoolStatus()
    if outcome is None:
        return before.model_copy(update={"observed_generation": generation, "conditions": conditions})
    decision = outcome.decision
    rows = tuple(
        VariantStatus(
            name=seen.name,
            deployment=deployments[seen.name],
            desired=decision.wanted(seen.name),
            replicas=seen.replicas or 0,
            ready=ready_replicas(seen),
            learned=_learned(outcome.learned.get(seen.name)),
        )
        for seen in outcome.observation.variants
    )
    return PoolStatus(
        observed_generation=generation,
        conditions=conditions,
        desired=decision.desired,
        ready=sum(row.ready for row in rows),
        starting=sum(_starting(outcome.observation)),
        limited_by=_limited_by(before, decision),
        last_scale=to_rfc3339(now_s) if outcome.replicas_written else before.last_scale,
        cost_per_hour=_cost(variants, decision=decision, prices=prices),
        prices=token_prices,
        variants=rows,
        last_decision=_last_decision(before.last_decision, decision, now_s=now_s),
    )


def _learned(learned: Learned | None) -> LearnedCapacity | None:
    return None if learned is None else LearnedCapacity(requests=learned.running, expected=f"{learned.prior:.2f}")


def _starting(observation: PoolObservation) -> list[int]:
    """By variant, pods that are not ready and should be."""
    return [
        sum(not pod.ready and not pod.terminating and pod.routable for pod in seen.pods)
        for seen in observation.variants
    ]


def _cost(
    variants: Sequence[Variant],
    *,
    decision: Decision,
    prices: Mapping[str, Decimal],
) -> str | None:
    """USD per hour of the wanted replicas; None where a price is not known."""
    if any(variant.accelerator not in prices for variant in variants):
        return None
    total = sum((decision.wanted(one.name) * one.gpus * prices[one.accelerator] for one in variants), Decimal(0))
    return str(total.quantize(_CENT))


def _limited_by(before: PoolStatus, decision: Decision) -> str:
    if before.limited_by is not None and not decision.informed:
        return before.limited_by
    return str(decision.blocked_by or decision.demand.binding)


def _last_decision(before: LastDecision | None, decision: Decision, *, now_s: float) -> LastDecision:
    """The decision before, unless this one says something else; one that could not look yet does not."""
    if before is not None and not decision.informed and before.desired == decision.desired:
        return before
    new = LastDecision(
        time=to_rfc3339(now_s),
        current=decision.current,
        desired=decision.desired,
        binding_term=decision.demand.binding,
        terms=tuple(_term(term) for term in decision.demand.terms),
        blocked_by=decision.blocked_by,
        message=decision.message,
    )
    return before if before is not None and _key(before) == _key(new) else new


def _key(decision: LastDecision) -> tuple[object, ...]:
    known = frozenset(term.name for term in decision.terms if term.replicas != UNKNOWN)
    return (decision.desired, decision.binding_term, decision.blocked_by, known)


def _term(term: Term) -> ScaleTerm:
    replicas = UNKNOWN if term.replicas is None else f"{term.replicas:.2f}"
    return ScaleTerm(name=term.name, replicas=replicas, detail=term.detail)
