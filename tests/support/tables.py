"""Routing tables for tests, with the noise left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.pool import RoutingStrategy
from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable, TargetEntry, TierEntry

if TYPE_CHECKING:
    from support.scripted_engine import ScriptedEngine


def pool(name: str, *engines: ScriptedEngine | str, **changes: Any) -> PoolEntry:
    """A pool that answers for its own name, with these replicas."""
    endpoints = tuple(sorted(engine if isinstance(engine, str) else engine.endpoint for engine in engines))
    return PoolEntry(
        **{
            "name": name,
            "served_names": (name,),
            "strategy": RoutingStrategy.LEAST_LOAD,
            "endpoints": endpoints,
            **changes,
        }
    )


def policy(name: str, *tiers: tuple[str, ...], **changes: Any) -> PolicyEntry:
    """A policy with tiers t1, t2, ..., each of these pools; the complexity 5 belongs to the last."""
    last = len(tiers)
    entries = tuple(
        TierEntry(
            name=f"t{number}",
            max_complexity=5 if number == last else number,
            targets=tuple(TargetEntry(pool=pool, priority=0, weight=100) for pool in pools),
        )
        for number, pools in enumerate(tiers, start=1)
    )
    return PolicyEntry(**{"name": name, "served_names": (name,), "tiers": entries, **changes})


def table(*entries: PoolEntry | PolicyEntry) -> RoutingTable:
    """A table with these pools and policies."""
    return RoutingTable(
        namespace="llm",
        pools=tuple(entry for entry in entries if isinstance(entry, PoolEntry)),
        policies=tuple(entry for entry in entries if isinstance(entry, PolicyEntry)),
    )
