from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from mixserve_devcluster.node.actions import Outcome, Target, perform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Recorder:
    """An executor that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], float]] = []

    async def execute(self, argv: Sequence[str], timeout_s: float) -> Outcome:
        self.asked.append((list(argv), timeout_s))
        return Outcome(success=True)


async def answer(request: web.Request) -> web.Response:
    if request.path == "/slow":
        await asyncio.sleep(60)
    wants = request.headers.get("X-Want", "200")
    return web.Response(status=int(wants), headers={"Location": "/elsewhere"})


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """A container whose port "web" is served."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        ports = {"web": runner.addresses[0][1]}
        yield Target(address="127.0.0.1", ports=ports, executor=Recorder(), http=http)
    await runner.cleanup()


def get(status: str = "200", **fields: Any) -> dict[str, Any]:
    return {"httpGet": {"port": "web", "httpHeaders": [{"name": "X-Want", "value": status}], **fields}}


@pytest.mark.parametrize(("status", "success"), [("200", True), ("302", True), ("400", False), ("503", False)])
async def test_http_statuses(target: Target, status: str, *, success: bool) -> None:
    outcome = await perform(get(status), target, 5)
    assert outcome.success is success
    assert success or outcome.message == f"HTTP probe failed with statuscode: {status}"


async def test_http_failures(target: Target) -> None:
    slow = await perform(get(path="/slow"), target, 0.1)
    assert (slow.success, slow.message.endswith('/slow": no answer within 0.1 s')) == (False, True)
    refused = await perform(get(host="127.0.0.1", port=1), target, 1)
    assert (refused.success, refused.message.startswith('Get "http://127.0.0.1:1/": ')) == (False, True)
    assert not (await perform(get(port="none"), target, 1)).success


async def test_tcp(target: Target) -> None:
    assert (await perform({"tcpSocket": {"port": "web"}}, target, 1)).success
    refused = await perform({"tcpSocket": {"port": 1}}, target, 1)
    assert (refused.success, refused.message.startswith("dial tcp 127.0.0.1:1: ")) == (False, True)
    assert not (await perform({"tcpSocket": {"port": "none"}}, target, 1)).success


async def test_exec(target: Target) -> None:
    assert (await perform({"exec": {"command": ["a", "b"]}}, target, 3)).success
    assert isinstance(target.executor, Recorder)
    assert target.executor.asked == [(["a", "b"], 3)]


async def test_sleep_is_cut_by_the_time_limit(target: Target) -> None:
    async with asyncio.timeout(5):
        assert (await perform({"sleep": {"seconds": 60}}, target, 0.01)).success


async def test_what_the_node_cannot_do(target: Target) -> None:
    assert await perform({"grpc": {"port": 1}}, target, 1) == Outcome(
        success=False, message="the local node cannot do grpc"
    )


async def test_what_cannot_even_be_tried_is_a_failure(target: Target) -> None:
    outcome = await perform({"tcpSocket": {"host": "x" * 64 + ".example", "port": 1}}, target, 1)
    assert (outcome.success, outcome.message.startswith("UnicodeError(")) == (False, True)
