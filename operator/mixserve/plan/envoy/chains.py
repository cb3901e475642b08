"""Which pools a request of a policy is tried at, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.routing_policy import FallbackReason
from mixserve.route.decision import chain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.route.table import PolicyEntry, RoutingTable

_ATTEMPTS_PER_POOL = 2
"""Another replica often takes what the first did not; a third try would only delay the next pool's."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The pools of the attempts, in order; a pool occurs twice where it has more than one replica.

    Attributes:
        name: by which a decision names it.
        policy: whose chain it is.
        attempts: names of pools that take requests; empty where none does, or where the first does not and the policy
            has no fallback for that.
    """

    name: str
    policy: PolicyEntry
    attempts: tuple[str, ...]


def chain_name(policy: str, tier: str, pool: str) -> str:
    """The name of the chain that begins with `pool` in `tier`."""
    return f"{policy}/{tier}/{pool}"


def chains(table: RoutingTable) -> Iterator[Chain]:
    """All chains that a decision may name: one for each target of each tier."""
    for policy in table.policies:
        for tier in policy.tiers:
            for target in tier.targets:
                yield Chain(
                    name=chain_name(policy.name, tier.name, target.pool),
                    policy=policy,
                    attempts=_attempts(table, policy, chain(policy, tier.name, target.pool)),
                )


def _attempts(table: RoutingTable, policy: PolicyEntry, pools: tuple[str, ...]) -> tuple[str, ...]:
    """Envoy gives up at a pool without endpoints, so it is left out; the policy may want it to end there."""
    per_pool = _ATTEMPTS_PER_POOL if policy.fallback_when else 1
    replicas = {name: len(entry.endpoints) for name in pools if (entry := table.pool(name)) is not None}
    if FallbackReason.UNAVAILABLE not in policy.fallback_when and not replicas.get(pools[0]):
        return ()
    return tuple(name for name, count in replicas.items() for _ in range(min(per_pool, count)))
