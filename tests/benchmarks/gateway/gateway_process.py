"""The gateway's process as it is in a pod, but for the watches: its table is that of the benchmark, and stays so."""

from __future__ import annotations

import argparse
import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import uvloop

from mixserve.api.engine import EngineType
from mixserve.api.pool import RoutingStrategy
from mixserve.controller.logs import configure_logs
from mixserve.controller.stopping import StopSignals
from mixserve.engines.registry import adapter_for
from mixserve.gateway.envoy_admin import EnvoyAdmin
from mixserve.gateway.process import Gateway
from mixserve.gateway.settings import GatewaySettings
from mixserve.observe.scrape import scrape_session
from mixserve.route.table import PolicyEntry, PoolEntry, Prices, RoutingTable, TargetEntry, TierEntry

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mixserve.engines.protocol import MetricsPage
    from mixserve.gateway.namespace_view import NamespaceView

POOL = "chat"
"""What a request names that names a pool."""
POLICY = "auto"
"""What a request names that names a policy."""
_TIERS = {"small": 2, "mid": 3, "large": 5}


def table(engines: tuple[str, ...]) -> RoutingTable:
    """A pool that Envoy spreads itself, and a policy over three pools that the gateway picks in.

    Args:
        engines: ip:port; each pool has all of them.
    """
    pools = [_pool(POOL, engines, RoutingStrategy.LEAST_LOAD)]
    pools += [_pool(tier, engines, RoutingStrategy.PREFIX_AWARE) for tier in _TIERS]
    tiers = [
        TierEntry(name=tier, max_complexity=most, targets=(TargetEntry(pool=tier, priority=0, weight=1),))
        for tier, most in _TIERS.items()
    ]
    policy = PolicyEntry(name=POLICY, served_names=(POLICY,), tiers=tuple(tiers))
    return RoutingTable(namespace="benchmark", pools=tuple(pools), policies=(policy,))


def _pool(name: str, engines: tuple[str, ...], strategy: RoutingStrategy) -> PoolEntry:
    prices = Prices(prompt=Decimal("0.11"), cached_prompt=Decimal("0.011"), completion=Decimal("0.44"))
    return PoolEntry(name=name, served_names=(name,), strategy=strategy, endpoints=engines, prices=prices)


class _StillView:
    """A namespace in which nothing happens."""

    problem = None
    silent_for_s = 0.0

    def __init__(self, engines: tuple[str, ...]) -> None:
        self._table = table(engines)
        page = adapter_for(EngineType.VLLM).metrics_page("0.32.0")
        self._pages = dict.fromkeys(engines, page)
        self._is_told = False

    def feeds(self) -> list[Coroutine[Any, Any, None]]:
        return []

    async def recall(self) -> None:
        """There is nothing to recall."""

    async def news(self) -> None:
        """Once, at the start."""
        if self._is_told:
            await asyncio.Event().wait()
        self._is_told = True

    def table(self) -> RoutingTable:
        return self._table

    def engines(self) -> Mapping[str, MetricsPage]:
        return self._pages


def settings(directory: Path, *, port: int, ready_port: int) -> GatewaySettings:
    """Those of a pod, but for where it is."""
    return GatewaySettings(
        namespace="benchmark",
        directory=directory,
        host="127.0.0.1",
        http_port=port,
        ready_port=ready_port,
        web_port=0,
        drain_s=0,
    )


async def _run(chosen: GatewaySettings, engines: tuple[str, ...]) -> None:
    signals = StopSignals()
    signals.install()
    async with (
        scrape_session() as scrapes,
        aiohttp.ClientSession() as questions,
        EnvoyAdmin(chosen.envoy().admin_path) as envoy,
    ):
        view = cast("NamespaceView", _StillView(engines))
        gateway = Gateway(chosen, view=view, scrapes=scrapes, questions=questions, envoy=envoy)
        await gateway.run(signals.received)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ready-port", type=int, required=True)
    parser.add_argument("engines", nargs="+")
    arguments = parser.parse_args()
    configure_logs("info", "auto")
    chosen = settings(arguments.directory, port=arguments.port, ready_port=arguments.ready_port)
    uvloop.run(_run(chosen, tuple(arguments.engines)))


if __name__ == "__main__":
    _main()
