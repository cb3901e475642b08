"""Which pools are tried, and how often."""

from __future__ import annotations

from mixserve.plan.envoy.chains import Chain, chain_name, chains, stray
from support.tables import policy, pool, table

ONE, TWO, THREE = "10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"


def chains_of(*entries) -> dict[str, tuple[str, ...]]:
    return {one.name: one.attempts for one in chains(table(*entries))}


def test_each_target_of_each_tier_begins_a_chain():
    auto = policy("auto", ("a", "b"), ("c",))
    pools = [pool(name, ONE) for name in "abc"]
    assert chains_of(*pools, auto) == {
        "auto/t1/a": ("a", "b", "c"),
        "auto/t1/b": ("b", "a", "c"),
        "auto/t2/c": ("c",),
    }


def test_a_pool_with_several_replicas_is_tried_twice():
    auto = policy("auto", ("a",), ("b",))
    assert chains_of(pool("a", ONE, TWO, THREE), pool("b", ONE), auto)["auto/t1/a"] == ("a", "a", "b")


def test_pools_without_replicas_and_pools_that_do_not_exist_are_left_out():
    auto = policy("auto", ("a", "missing"), ("b",))
    assert chains_of(pool("a"), pool("b", ONE), auto)["auto/t1/a"] == ("b",)
    assert chains_of(pool("a"), auto)["auto/t1/a"] == ()


def test_without_fallback_only_the_first_pool_is_tried_and_only_once():
    auto = policy("auto", ("a",), ("b",), fallback_when=frozenset())
    assert chains_of(pool("a", ONE, TWO), pool("b", ONE), auto)["auto/t1/a"] == ("a",)


def test_a_decision_by_other_tiers_goes_to_the_largest_and_then_to_the_smaller_ones():
    auto = policy("auto", ("a",), ("b", "c"))
    assert stray(table(*(pool(name, ONE) for name in "abc"), auto), auto).attempts == ("b", "c", "a")
    assert stray(table(pool("a", ONE), pool("b"), auto), auto).attempts == ("a",)


def test_without_fallback_a_decision_by_other_tiers_is_tried_once():
    auto = policy("auto", ("a",), ("b",), fallback_when=frozenset())
    assert stray(table(pool("a", ONE), pool("b", ONE, TWO), auto), auto).attempts == ("b",)


def test_a_chain_is_named_after_where_it_begins():
    auto = policy("auto", ("a",))
    assert list(chains(table(pool("a", ONE), auto))) == [
        Chain(name=chain_name("auto", "t1", "a"), policy=auto, attempts=("a",))
    ]
