"""All parts of the data plane are at the same news."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.api.pool import RoutingStrategy
from mixserve.gateway.accounting.ledger import Ledger
from mixserve.gateway.accounting.totals import Totals
from mixserve.gateway.data_plane import DataPlane
from mixserve.route.table import PoolEntry, RoutingTable

if TYPE_CHECKING:
    from collections.abc import Mapping

LOADS = {"10.0.0.1:8000": 0, "10.0.0.2:8000": 40}


class Parts:
    """Stands for Envoy's files, its endpoints and the router."""

    def __init__(self) -> None:
        self.applied: list[RoutingTable] = []
        self.known: list[RoutingTable] = []
        self.updates: list[Mapping[str, Any]] = []
        self.seen = 0
        self.followed = False
        self.let_gone = 0

    async def apply(self, table: RoutingTable) -> None:
        self.applied.append(table)

    async def is_followed(self) -> bool:
        return self.followed

    def let_go(self) -> None:
        self.let_gone += 1

    def update(self, assignments: Mapping[str, Any]) -> None:
        self.updates.append(assignments)

    def know(self, table: RoutingTable) -> None:
        self.known.append(table)

    def see(self, sample: Any, *, now_s: float) -> None:
        assert callable(sample)
        assert now_s > 0
        self.seen += 1


def sample(address: str) -> EngineSample:
    return EngineSample(
        scraped_at_s=time.time(),
        running=LOADS[address],
        waiting=0,
        kv_cache_usage=0.1,
        speculation=Missing(MissingReason.METRIC_ABSENT),
    )


def plane(parts: Parts) -> DataPlane:
    stand_in: Any = parts
    return DataPlane(files=stand_in, discovery=stand_in, router=stand_in, ledger=Ledger(Totals()), sample=sample)


def table(strategy: RoutingStrategy) -> RoutingTable:
    pool = PoolEntry(name="chat", served_names=("chat",), strategy=strategy, endpoints=tuple(LOADS))
    return RoutingTable(namespace="llm", pools=(pool,))


def weights(update: Mapping[str, Any]) -> list[int]:
    [locality] = update["chat"]["endpoints"]
    return [each["load_balancing_weight"] for each in locality["lb_endpoints"]]


async def test_a_table_reaches_every_part() -> None:
    parts, given = Parts(), table(RoutingStrategy.PREFIX_AWARE)
    await plane(parts).apply(given)
    assert (parts.applied, parts.known, parts.seen) == ([given], [given], 1)
    assert list(parts.updates[0]) == ["chat"]


async def test_before_there_is_a_table_envoy_keeps_the_endpoints_that_it_has() -> None:
    parts = Parts()
    plane(parts).see()
    assert parts.updates == []


async def test_the_busier_endpoint_gets_the_smaller_weight_where_envoy_spreads() -> None:
    parts = Parts()
    made = plane(parts)
    await made.apply(table(RoutingStrategy.LEAST_LOAD))
    for _ in range(5):
        made.see()
    idle, busy = weights(parts.updates[-1])
    assert idle > busy > 0


async def test_where_picks_decide_envoy_falls_back_to_all_endpoints_alike() -> None:
    parts = Parts()
    await plane(parts).apply(table(RoutingStrategy.PREFIX_AWARE))
    assert len(set(weights(parts.updates[-1]))) == 1


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_pool_keeps_its_last_replica_in_envoy_until_no_request_follows_routes_that_name_it(
    *, deleted: bool
) -> None:
    parts = Parts()
    made = plane(parts)
    full = table(RoutingStrategy.PREFIX_AWARE)
    await made.apply(full)
    await made.apply(replace(full, pools=() if deleted else (replace(full.pools[0], endpoints=()),)))
    await made.let_go()
    assert len(weights(parts.updates[-1])) == len(LOADS)
    parts.followed = True
    await made.let_go()
    assert {name: one["endpoints"] for name, one in parts.updates[-1].items()} == ({} if deleted else {"chat": []})
    await made.let_go()
    assert parts.let_gone == 1


async def test_a_pool_that_comes_back_is_not_let_go() -> None:
    parts = Parts()
    made = plane(parts)
    full = table(RoutingStrategy.PREFIX_AWARE)
    for given in (full, RoutingTable(namespace="llm"), full):
        await made.apply(given)
    parts.followed = True
    await made.let_go()
    assert (len(weights(parts.updates[-1])), parts.let_gone) == (len(LOADS), 0)
