"""The load of engines, scraped again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from mixserve.api.engine import EngineType
from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.engines.registry import adapter_for
from mixserve.gateway.scraping import EngineScraper
from mixserve.observe.scrape import scrape_session
from support.metrics_pages import GAUGES, PAGE
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mixserve.engines.protocol import MetricsPage

STATISTICS = adapter_for(EngineType.TENSORRT_LLM).metrics_page("1.1.0")


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    app = web.Application()
    app.router.add_get(GAUGES.path, page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def scraped(engines: dict[str, MetricsPage]) -> EngineScraper:
    rounds: list[int] = []
    async with scrape_session() as session:
        made = EngineScraper(session, interval_s=0.001, engines=lambda: engines, scraped=lambda: rounds.append(1))
        async with running(made.run()):
            await until(lambda: len(rounds) > 1)
    return made


async def test_every_engine_has_its_signals_or_the_reason_for_none(address: str) -> None:
    made = await scraped({address: GAUGES, "127.0.0.1:1": GAUGES, "127.0.0.1:2": STATISTICS})
    found = made.sample(address)
    assert isinstance(found, EngineSample)
    assert (found.running, found.waiting) == (3, 7)
    reasons = [made.sample(each) for each in ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")]
    assert [each.reason for each in reasons if isinstance(each, Missing)] == [
        MissingReason.UNREACHABLE,
        MissingReason.NOT_SCRAPED,
        MissingReason.NOT_SCRAPED,
    ]


async def test_an_odd_round_does_not_end_the_others() -> None:
    rounds: list[int] = []

    def stumble() -> None:
        rounds.append(1)
        raise ValueError("odd")

    async with scrape_session() as session:
        made = EngineScraper(session, interval_s=0.001, engines=dict, scraped=stumble)
        async with running(made.run()) as task:
            await until(lambda: len(rounds) > 2)
            assert not task.done()
