"""Which target a request of a policy begins with, and what follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import FallbackReason
from mixserve.route.decision import Cause, Decision, UnknownName, Wish, chain, decide, unknown_name
from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable, TargetEntry, TierEntry


def tier(name: str, most: int, *targets: TargetEntry | str) -> TierEntry:
    entries = tuple(each if isinstance(each, TargetEntry) else target(each) for each in targets)
    return TierEntry(name=name, max_complexity=most, targets=entries)


def target(pool: str, priority: int = 0, weight: int = 100) -> TargetEntry:
    return TargetEntry(pool=pool, priority=priority, weight=weight)


TIERS = (
    tier("small", 2, "qwen-8b"),
    tier("mid", 3, target("qwen-32b", weight=90), target("llama-70b", weight=10), target("spare", priority=1)),
    tier("large", 5, "llama-70b"),
)


def policy(**changes: object) -> PolicyEntry:
    return PolicyEntry(**{"name": "auto", "served_names": ("auto",), "tiers": TIERS, **changes})  # type: ignore[arg-type]


def decided(
    complexity: int = 1,
    *,
    down: tuple[str, ...] = (),
    draw: float = 0.0,
    tier: str | None = None,
    pool: str | None = None,
    **changes: object,
) -> tuple[str, str, Cause]:
    found = decide(
        policy(**changes),
        complexity=complexity,
        wish=Wish(tier=tier, pool=pool),
        takes_requests=lambda name: name not in down,
        draw=draw,
    )
    return found.tier, found.pool, found.cause


@pytest.mark.parametrize(("complexity", "name"), [(1, "small"), (2, "small"), (3, "mid"), (4, "large"), (5, "large")])
def test_complexity_chooses_the_first_tier_that_reaches_it(complexity: int, name: str) -> None:
    assert decided(complexity)[::2] == (name, Cause.COMPLEXITY)


@pytest.mark.parametrize(
    ("draw", "pool"), [(0.0, "qwen-32b"), (0.89, "qwen-32b"), (0.91, "llama-70b"), (1.0, "llama-70b")]
)
def test_weights_share_the_requests_of_the_smallest_priority(draw: float, pool: str) -> None:
    assert decided(3, draw=draw)[1] == pool


def test_a_larger_priority_waits_until_the_smaller_ones_take_nothing() -> None:
    assert decided(3, down=("qwen-32b",))[1] == "llama-70b"
    assert decided(3, down=("qwen-32b", "llama-70b")) == ("mid", "spare", Cause.COMPLEXITY)


def test_the_next_larger_tier_answers_for_one_that_takes_nothing() -> None:
    assert decided(1, down=("qwen-8b",)) == ("mid", "qwen-32b", Cause.FALLBACK)
    assert decided(1, down=("qwen-8b", "qwen-32b", "spare", "llama-70b")) == ("small", "qwen-8b", Cause.COMPLEXITY)


def test_without_fallback_for_it_an_unavailable_target_stays_the_choice() -> None:
    only = {"fallback_when": frozenset({FallbackReason.OVERLOADED})}
    assert decided(1, down=("qwen-8b",), **only) == ("small", "qwen-8b", Cause.COMPLEXITY)


def test_a_request_may_name_tier_or_pool() -> None:
    assert decided(1, tier="large") == ("large", "llama-70b", Cause.TIER_OVERRIDE)
    assert decided(5, tier="small", down=("qwen-8b",))[::2] == ("mid", Cause.FALLBACK)
    assert decided(1, pool="spare") == ("mid", "spare", Cause.POOL_OVERRIDE)
    assert decided(1, pool="llama-70b") == ("mid", "llama-70b", Cause.POOL_OVERRIDE)


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({}, None),
        ({"tier": "", "pool": ""}, None),
        ({"tier": "mid", "pool": "spare"}, None),
        ({"tier": "huge"}, UnknownName(what="tier", name="huge", known=("small", "mid", "large"))),
        (
            {"tier": "mid", "pool": "gpt"},
            UnknownName(what="pool", name="gpt", known=("qwen-8b", "qwen-32b", "llama-70b", "spare")),
        ),
    ],
)
def test_a_wish_names_what_the_policy_has(wish: dict[str, str], found: UnknownName | None) -> None:
    assert unknown_name(policy(), Wish(**wish)) == found


def test_names_count_for_nothing_where_wishes_do() -> None:
    assert unknown_name(policy(may_override=False), Wish(tier="huge", pool="gpt")) is None


def test_a_policy_may_deny_overrides() -> None:
    assert decided(1, tier="large", pool="spare", may_override=False) == ("small", "qwen-8b", Cause.COMPLEXITY)


def test_the_chain_goes_through_the_tier_and_then_through_larger_ones() -> None:
    assert chain(policy(), "small", "qwen-8b") == ("qwen-8b", "qwen-32b", "llama-70b", "spare")
    assert chain(policy(), "mid", "spare") == ("spare", "qwen-32b", "llama-70b")
    assert chain(policy(), "large", "llama-70b") == ("llama-70b",)
    assert chain(policy(fallback_when=frozenset()), "small", "qwen-8b") == ("qwen-8b",)


@given(
    complexity=st.integers(1, 5),
    down=st.sets(st.sampled_from(["qwen-8b", "qwen-32b", "llama-70b", "spare"])),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_who_takes_requests_is_chosen_whenever_a_tier_for_it_has_somebody(
    complexity: int, down: set[str], draw: float
) -> None:
    found = decide(
        policy(), complexity=complexity, wish=Wish(), takes_requests=lambda name: name not in down, draw=draw
    )
    able = [each for each in TIERS if each.max_complexity >= complexity]
    somebody = any(entry.pool not in down for each in able for entry in each.targets)
    assert isinstance(found, Decision)
    assert (found.pool not in down) == somebody
    assert chain(policy(), found.tier, found.pool)[0] == found.pool


def test_a_table_finds_its_pools() -> None:
    pool = PoolEntry(name="a", served_names=("a",), strategy=RoutingStrategy.LEAST_LOAD, endpoints=())
    table = RoutingTable(namespace="llm", pools=(pool,))
    assert (table.pool("a"), table.pool("b")) == (pool, None)
