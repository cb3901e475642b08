"""Which pools a request of a policy is tried at, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.route.decision import chain, largest_first

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
        attempts: names of pools that take requests; empty where none does.
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
                pools = chain(policy, tier.name, target.pool)
                yield _chain(table, policy, name=chain_name(policy.name, tier.name, target.pool), pools=pools)


def stray(table: RoutingTable, policy: PolicyEntry) -> Chain:
    """Where a request goes whose decision names a chain that is not there, as while the policy's tiers are edited.

    The process may know the new tiers before Envoy does, and Envoy takes for a request the routes of its beginning.
    """
    return _chain(table, policy, name=policy.name, pools=largest_first(policy))


def _chain(table: RoutingTable, policy: PolicyEntry, *, name: str, pools: tuple[str, ...]) -> Chain:
    per_pool = _ATTEMPTS_PER_POOL if policy.fallback_when else 1
    return Chain(name=name, policy=policy, attempts=_attempts(table, pools, per_pool=per_pool))


def _attempts(table: RoutingTable, pools: tuple[str, ...], *, per_pool: int) -> tuple[str, ...]:
    """Envoy gives up at a pool without endpoints, so it is left out."""
    entries = [entry for name in pools if (entry := table.pool(name)) is not None]
    return tuple(entry.name for entry in entries for _ in range(min(per_pool, len(entry.endpoints))))
