"""The status of a `RoutingPolicy`: whether it is followed, whether its tiers have somebody to answer, and who did.

Shares move with every request. So they are rounded, and stay as they were written until one of them has moved by as
much as the rounding; the gateways' metrics have them live.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixserve.api.names import ConditionType, PolicyCondition, Reason
from mixserve.api.routing_policy import FallbackReason
from mixserve.api.routing_policy_status import (
    GatewayStatus,
    RoutingPolicyStatus,
    TargetHealth,
    TargetStatus,
    TierStatus,
)
from mixserve.status.one_condition import to_condition
from mixserve.status.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.routing_policy import RoutingPolicySpec, Target
    from mixserve.validate.policy_checks import PolicyFindings
    from mixserve.validate.violation import Finding

SHARE_STEP_PERCENT = 5
"""Shares are rounded to this, and written when one has moved by as much."""


@dataclass(frozen=True, kw_only=True)
class GatewayObservation:
    """The gateway of the policy's namespace.

    Attributes:
        address: where clients send requests.
        ready_replicas: replicas of it that are ready; None where there is no Deployment yet.
        refused: what the API server refuses of its objects, one sentence each.
    """

    address: str
    ready_replicas: int | None = None
    refused: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class PolicyObservation:
    """What is known of a policy.

    Attributes:
        generation: of its spec.
        findings: what is thought of that.
        in_force: the spec that is followed; None where there never was a valid one.
        gateway: of its namespace.
        ready_replicas: by pool of the namespace, replicas that take requests.
        answered: requests that were answered well since the gateways started, by tier and pool; None where they could
            not be asked.
    """

    generation: int
    findings: PolicyFindings
    in_force: RoutingPolicySpec | None
    gateway: GatewayObservation
    ready_replicas: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[tuple[str, str], int] | None = None


def build_policy_status(
    seen: PolicyObservation,
    *,
    previous: RoutingPolicyStatus | None,
    now_s: float,
) -> RoutingPolicyStatus:
    """What is to be said of a policy.

    Args:
        seen: what is known of it.
        previous: the status as it was written last.
        now_s: seconds since the epoch.
    """
    conditions = () if previous is None else previous.conditions
    shares = _shares(seen, previous)
    gateway = seen.gateway
    return RoutingPolicyStatus(
        observed_generation=seen.generation,
        conditions=tuple(
            to_condition(verdict, generation=seen.generation, previous=conditions, now_s=now_s)
            for verdict in (_judge_spec(seen.findings), _judge_targets(seen.findings), _judge_readiness(seen))
        ),
        targets=None if seen.in_force is None else _targets(seen.in_force, seen),
        gateway=None
        if gateway.ready_replicas is None
        else GatewayStatus(address=gateway.address, ready_replicas=gateway.ready_replicas),
        tiers=() if seen.in_force is None else tuple(_tiers(seen.in_force, seen, shares)),
    )


def _tiers(
    spec: RoutingPolicySpec,
    seen: PolicyObservation,
    shares: Mapping[tuple[str, str], int],
) -> Sequence[TierStatus]:
    return [
        TierStatus(
            name=tier.name,
            targets=tuple(
                TargetStatus(
                    pool=target.pool_ref.name,
                    health=_health(target, seen),
                    ready_replicas=seen.ready_replicas.get(target.pool_ref.name, 0),
                    share_percent=shares.get((tier.name, target.pool_ref.name), 0) if shares else None,
                )
                for target in tier.targets
            ),
        )
        for tier in spec.tiers
    ]


def _health(target: Target, seen: PolicyObservation) -> TargetHealth:
    ready = seen.ready_replicas.get(target.pool_ref.name)
    if ready is None:
        return TargetHealth.NOT_FOUND
    return TargetHealth.READY if ready else TargetHealth.UNAVAILABLE


def _judge_spec(findings: PolicyFindings) -> Verdict:
    kind = ConditionType.VALIDATED
    if findings.violations:
        return Verdict(kind, "False", findings.violations[0].reason, _sentences(findings.violations))
    notes = [note for note in findings.notes if note.reason is Reason.VALID]
    return Verdict(kind, "True", Reason.VALID, _sentences(notes) or "The spec breaks no rule")


def _judge_targets(findings: PolicyFindings) -> Verdict:
    kind = PolicyCondition.TARGETS_FOUND
    if findings.violations:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, "Will be checked when the spec is valid")
    missing = [note for note in findings.notes if note.reason is Reason.TARGET_NOT_FOUND]
    if missing:
        return Verdict(kind, "False", Reason.TARGET_NOT_FOUND, _sentences(missing))
    return Verdict(kind, "True", Reason.TARGETS_FOUND, "All pools that it names exist")


def _targets(spec: RoutingPolicySpec, seen: PolicyObservation) -> str:
    ready = sum(seen.ready_replicas.get(pool, 0) > 0 for pool in spec.pools)
    return f"{ready}/{len(spec.pools)}"


def _judge_readiness(seen: PolicyObservation) -> Verdict:
    """The first thing that stands in the way: what people should look at first comes first."""
    kind, wrong = ConditionType.READY, seen.findings.violations
    if wrong:
        goes_on = ". The gateway goes on with the last valid spec" if seen.in_force is not None else ""
        return Verdict(kind, "False", wrong[0].reason, f"{_sentences(wrong)}{goes_on}")
    if seen.gateway.refused:
        return Verdict(kind, "False", Reason.APPLY_FAILED, "; ".join(seen.gateway.refused))
    if not seen.gateway.ready_replicas:
        message = (
            "No replica of the gateway is ready; what its pods wait for: "
            "kubectl describe pods --show-events -l mixserve.dev/gateway=true"
        )
        return Verdict(kind, "False", Reason.GATEWAY_NOT_READY, message)
    bare = _bare_tiers(seen)
    if bare:
        reason = Reason.TARGET_NOT_FOUND if _none_exists(seen, bare) else Reason.NO_TARGET_READY
        message = f"No target takes the requests of {', '.join(bare)}; look at the pools in status.tiers"
        return Verdict(kind, "False", reason, message)
    return Verdict(kind, "True", Reason.READY, "Every tier has a target, or a larger tier, that takes requests")


def _bare_tiers(seen: PolicyObservation) -> list[str]:
    """Tiers whose requests nobody takes: without fallback on Unavailable, no larger tier stands in."""
    if seen.in_force is None:
        return []
    bare: list[str] = []
    steps_in = FallbackReason.UNAVAILABLE in seen.in_force.fallback.when
    larger_is_ready = False
    for tier in reversed(seen.in_force.tiers):
        is_ready = any(_health(target, seen) is TargetHealth.READY for target in tier.targets)
        larger_is_ready = is_ready or (larger_is_ready and steps_in)
        if not larger_is_ready:
            bare.insert(0, tier.name)
    return bare


def _none_exists(seen: PolicyObservation, tiers: Sequence[str]) -> bool:
    spec = seen.in_force
    targets = [target for tier in spec.tiers if tier.name in tiers for target in tier.targets] if spec else []
    return all(_health(target, seen) is TargetHealth.NOT_FOUND for target in targets)


def _shares(seen: PolicyObservation, previous: RoutingPolicyStatus | None) -> dict[tuple[str, str], int]:
    """Percent by tier and pool of the spec: those that were written before, unless one has moved."""
    before, spec = _written_shares(previous), seen.in_force
    total = sum((seen.answered or {}).values())
    if seen.answered is None or spec is None or not total:
        return before
    targets = [(tier.name, target.pool_ref.name) for tier in spec.tiers for target in tier.targets]
    exact = {target: 100 * seen.answered.get(target, 0) / total for target in targets}
    moved = any(abs(share - before.get(target, 0)) >= SHARE_STEP_PERCENT for target, share in exact.items())
    return {target: _rounded(share) for target, share in exact.items()} if moved or not before else before


def _written_shares(previous: RoutingPolicyStatus | None) -> dict[tuple[str, str], int]:
    tiers = () if previous is None else previous.tiers
    return {
        (tier.name, target.pool): target.share_percent
        for tier in tiers
        for target in tier.targets
        if target.share_percent is not None
    }


def _rounded(percent: float) -> int:
    return SHARE_STEP_PERCENT * round(percent / SHARE_STEP_PERCENT)


def _sentences(findings: Sequence[Finding]) -> str:
    return ". ".join(found.message for found in findings)
