from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from mixserve.api.engine import EngineType
from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.engines.registry import adapter_for
from mixserve.observe import scrape as scraping
from mixserve.observe.scrape import metrics_url, scrape, scrape_session
from support.metrics_pages import GAUGES, PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from yarl import URL

    from mixserve.engines.protocol import MetricsPage

Handler = "Callable[[web.Request], Awaitable[web.StreamResponse]]"


@pytest.fixture
async def engine() -> AsyncIterator[Callable[[Handler], Awaitable[URL]]]:
    """Serves a handler on loopback; returns where."""
    runners = []

    async def start(handler: Handler) -> URL:
        app = web.Application()
        app.router.add_get("/metrics", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return metrics_url(address="127.0.0.1", port=runner.addresses[0][1], path="/metrics")

    yield start
    for runner in runners:
        await runner.cleanup()


async def scraped(url: URL, page: MetricsPage = GAUGES) -> EngineSample | Missing:
    async with scrape_session() as session:
        return await scrape(session, url=url, page=page, now_s=5.0)


async def test_it_reads_an_engine(engine: Callable[[Handler], Awaitable[URL]]) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    found = await scraped(await engine(page))
    assert isinstance(found, EngineSample)
    assert (found.scraped_at_s, found.running, found.waiting, found.kv_cache_usage) == (5.0, 3, 7, 0.25)


async def test_another_status_is_no_data(engine: Callable[[Handler], Awaitable[URL]]) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500, text=PAGE)

    found = await scraped(await engine(broken))
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.BAD_STATUS


async def test_a_redirect_is_not_followed(engine: Callable[[Handler], Awaitable[URL]]) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    elsewhere = await engine(page)

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound(elsewhere)

    found = await scraped(await engine(redirect))
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.BAD_STATUS


async def test_it_reads_statistics_of_iterations(engine: Callable[[Handler], Awaitable[URL]]) -> None:
    async def statistics(_: web.Request) -> web.Response:
        return web.json_response([])

    found = await scraped(await engine(statistics), adapter_for(EngineType.TENSORRT_LLM).metrics_page("1.2.0"))
    assert isinstance(found, EngineSample)
    assert (found.running, found.waiting, found.kv_cache_usage) == (0, 0, 0.0)


async def test_an_engine_that_hangs_is_a_timeout(engine: Callable[[Handler], Awaitable[URL]]) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(10)
        return web.Response()

    found = await scraped(await engine(hang), replace(GAUGES, timeout_s=0.05))
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.TIMEOUT


async def test_a_port_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = metrics_url(address="127.0.0.1", port=reserved.getsockname()[1], path="/metrics")
        found = await scraped(url)
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.UNREACHABLE


async def test_an_endless_page_is_cut_off(
    engine: Callable[[Handler], Awaitable[URL]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "MAX_PAGE_BYTES", 1000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:  # until the operator hangs up
            await response.write(b"x" * 1000)

    found = await scraped(await engine(endless))
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.UNPARSABLE


def test_an_address_of_version_6_has_its_brackets() -> None:
    assert str(metrics_url(address="fd00::1", port=8000, path="/metrics")) == "http://[fd00::1]:8000/metrics"
