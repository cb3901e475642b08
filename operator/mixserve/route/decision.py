"""Where a request of a policy goes: the tier for its complexity, and of its targets the one to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mixserve.api.routing_policy import FallbackReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mixserve.route.table import PolicyEntry, TargetEntry, TierEntry


class Cause(StrEnum):
    """Why a tier was chosen: a label of metrics, and the value of a response header."""

    COMPLEXITY = "Complexity"
    """Its tier is the one for the request's complexity."""
    TIER_OVERRIDE = "TierOverride"
    """The request named the tier."""
    POOL_OVERRIDE = "PoolOverride"
    """The request named the pool."""
    FALLBACK = "Fallback"
    """No target of the tier for it takes requests, so a larger one got it."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a request asks for itself, in override headers.

    Attributes:
        tier: name of a tier; None or empty for no wish.
        pool: name of a target; None or empty for no wish.
    """

    tier: str | None = None
    pool: str | None = None


@dataclass(frozen=True, kw_only=True)
class UnknownName:
    """A name in a wish that the policy does not have.

    Attributes:
        what: "tier" or "pool".
        name: as the client sent it.
        known: the names that there are.
    """

    what: str
    name: str
    known: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The tier and the target to begin with; what follows, if that fails, is `chain`."""

    tier: str
    pool: str
    cause: Cause


def decide(
    policy: PolicyEntry,
    *,
    complexity: int,
    wish: Wish,
    takes_requests: Callable[[str], bool],
    draw: float,
) -> Decision:
    """Choose a tier and a target.

    Args:
        policy: the policy.
        complexity: of the request, 1 to 5.
        wish: what the request asks for itself; ignored where the policy says so. A name that the policy does not have
            (`unknown_name`) is as none.
        takes_requests: whether a pool has an endpoint.
        draw: from 0 to below 1, evenly spread: which share of the weights the request falls into. The same for all
            requests of a session.

    Returns:
        The first choice. Where nothing takes requests, the target that it would have been: the client is told by whom
        it was not answered.
    """
    allowed = wish if policy.may_override else Wish()
    named = _named(policy, allowed.pool)
    if named is not None:
        return named
    larger = policy.tiers[_first_tier(policy, complexity, allowed.tier) :]
    first = larger[0]
    cause = Cause.TIER_OVERRIDE if first.name == allowed.tier else Cause.COMPLEXITY
    for tier in larger if FallbackReason.UNAVAILABLE in policy.fallback_when else ():
        ready = [target for target in tier.targets if takes_requests(target.pool)]
        if ready:
            return Decision(tier=tier.name, pool=_draw(ready, draw), cause=cause if tier is first else Cause.FALLBACK)
    return Decision(tier=first.name, pool=_draw(first.targets, draw), cause=cause)


def unknown_name(policy: PolicyEntry, wish: Wish) -> UnknownName | None:
    """What of a wish cannot be met, however the pools do; None where all can, or where the policy follows no wishes."""
    if not policy.may_override:
        return None
    if wish.tier and wish.tier not in (tiers := tuple(tier.name for tier in policy.tiers)):
        return UnknownName(what="tier", name=wish.tier, known=tiers)
    if wish.pool and wish.pool not in (pools := tuple(dict.fromkeys(_targets(policy)))):
        return UnknownName(what="pool", name=wish.pool, known=pools)
    return None


def chain(policy: PolicyEntry, tier: str, pool: str) -> tuple[str, ...]:
    """Pools in the order in which they are tried: `pool` of `tier`, the tier's others, then those of larger tiers.

    Within a tier smaller priorities come first, then larger weights, then the order of the spec. No pool occurs twice.
    """
    position = next(number for number, entry in enumerate(policy.tiers) if entry.name == tier)
    rest = [target.pool for entry in policy.tiers[position:] for target in _by_preference(entry)]
    if not policy.fallback_when:
        return (pool,)
    return tuple(dict.fromkeys([pool, *rest]))


def _named(policy: PolicyEntry, pool: str | None) -> Decision | None:
    for tier in policy.tiers:
        if pool is not None and pool in {target.pool for target in tier.targets}:
            return Decision(tier=tier.name, pool=pool, cause=Cause.POOL_OVERRIDE)
    return None


def _targets(policy: PolicyEntry) -> Iterator[str]:
    for tier in policy.tiers:
        yield from (target.pool for target in tier.targets)


def _first_tier(policy: PolicyEntry, complexity: int, wanted: str | None) -> int:
    names = [tier.name for tier in policy.tiers]
    if wanted in names:
        return names.index(wanted)
    return next(number for number, tier in enumerate(policy.tiers) if complexity <= tier.max_complexity)


def _by_preference(tier: TierEntry) -> list[TargetEntry]:
    return sorted(tier.targets, key=lambda target: (target.priority, -target.weight))


def _draw(targets: Sequence[TargetEntry], draw: float) -> str:
    """One of the targets with the smallest priority, by weight."""
    smallest = min(target.priority for target in targets)
    candidates = [target for target in targets if target.priority == smallest]
    point = draw * sum(target.weight for target in candidates)
    for target in candidates:
        point -= target.weight
        if point < 0:
            return target.pool
    return candidates[-1].pool
