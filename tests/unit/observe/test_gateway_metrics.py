from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from mixserve.observe.gateway_metrics import answered_on, read_gateway
from mixserve.observe.scrape import scrape_session

PAGE = b"""# HELP mixserve_gateway_requests_total Requests.
# TYPE mixserve_gateway_requests_total counter
mixserve_gateway_requests_total{policy="auto",tier="small",pool="a",code="200"} 3.0
mixserve_gateway_requests_total{policy="auto",tier="small",pool="a",code="206"} 1.0
mixserve_gateway_requests_total{policy="auto",tier="large",pool="b",code="503"} 9.0
mixserve_gateway_requests_total{policy="",tier="",pool="a",code="200"} 5.0
mixserve_gateway_requests_total_more{policy="auto",code="200"} 5.0
mixserve_gateway_tokens_total{policy="auto",tier="small",pool="a",kind="prompt"} 7.0
"""


def test_answers_with_success_are_counted_by_policy_tier_and_pool() -> None:
    assert answered_on(PAGE) == {"auto": Counter({("small", "a"): 4})}


def test_a_page_without_them_has_none() -> None:
    assert answered_on(b"") == {}


def test_a_line_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        answered_on(b'mixserve_gateway_requests_total{policy="auto"\n')


async def answer(status: int, body: bytes) -> object:
    async def page(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with scrape_session() as session:
        found = await read_gateway(session, "127.0.0.1", port)
    await runner.cleanup()
    return found


async def test_a_gateway_is_asked() -> None:
    assert await answer(200, PAGE) == {"auto": Counter({("small", "a"): 4})}


async def test_one_that_does_not_say_is_none() -> None:
    assert await answer(503, PAGE) is None
    assert await answer(200, b'mixserve_gateway_requests_total{policy="auto"\n') is None
    assert await answer(200, b" " * (5 * 2**20)) is None


async def test_one_that_is_not_there_is_none() -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    async with aiohttp.ClientSession() as session:
        assert await read_gateway(session, "127.0.0.1", port) is None
