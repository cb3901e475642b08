"""By which policies a gateway routes: each as it is written, or as it last was valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.validate.policy_checks import judge_policy
from mixserve.validate.policy_names import age, wanted_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.api.routing_policy import RoutingPolicy


@dataclass(frozen=True, kw_only=True)
class PolicyInForce:
    """A policy that is followed.

    Attributes:
        policy: with the spec that is followed.
        served_names: those of its model names that no older pool or policy has.
    """

    policy: RoutingPolicy
    served_names: tuple[str, ...]


def policies_in_force(
    written: Collection[RoutingPolicy],
    *,
    pools: Collection[LLMServingPool],
    before: Mapping[str, RoutingPolicy],
) -> tuple[PolicyInForce, ...]:
    """The policies of one namespace that are followed, the oldest first.

    Args:
        written: all that can be read, as they are written.
        pools: those of the namespace.
        before: by uid, policies that are still there as they last were valid; also such that can't be read any more.
    """
    valid = {
        policy.metadata.uid: policy
        for policy in written
        if not judge_policy(policy, pools=pools, policies=written).violations
    }
    followed = sorted({**before, **valid}.values(), key=age)
    claimants: list[LLMServingPool | RoutingPolicy] = [*pools, *followed]
    owners: dict[str, LLMServingPool | RoutingPolicy] = {}
    for claimant in sorted(claimants, key=age):
        for name in wanted_names(claimant):
            owners.setdefault(name, claimant)
    return tuple(
        PolicyInForce(
            policy=policy,
            served_names=tuple(name for name in policy.served_names if owners[name] is policy),
        )
        for policy in followed
    )
