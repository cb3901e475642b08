"""What clients get of an answer whose engine fails in the middle of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest

from mixserve.plan.envoy.openai_errors import BROKEN_OFF
from support.envoy import running_gateway
from support.raw_engine import CHUNKED, EVENTS, JSON, raw_engine
from support.scripted_engine import chunk, usage
from support.tables import pool, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from support.envoy import Gateway
    from support.raw_engine import RawEngine

ONE, TWO = chunk("p", 0), chunk("p", 1)
ERROR = f"data: {BROKEN_OFF}\n\n".encode()
DONE = b"data: [DONE]\n\n"
BODY = {"model": "p", "messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.fixture
async def engine() -> AsyncIterator[RawEngine]:
    async with raw_engine() as running:
        yield running


@pytest.fixture(params=["fin", "rst"])
def ending(request: pytest.FixtureRequest) -> Any:
    """How the engine's connection ends."""
    return request.param


@pytest.fixture
async def gateway(engine: RawEngine) -> AsyncIterator[Gateway]:
    async with running_gateway(table(pool("p", engine.endpoint))) as running:
        yield running
        assert running.process is not None
        assert running.process.returncode is None


@pytest.fixture
async def answered(gateway: Gateway, http: aiohttp.ClientSession) -> Callable[[], Awaitable[bytes]]:
    """Ask, and read the whole answer."""

    async def ask() -> bytes:
        async with http.post(f"{gateway.url}/v1/chat/completions", json=BODY) as response:
            return await response.read()

    return ask


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([ONE, TWO], ONE + TWO + ERROR),
        ([ONE + TWO[:40]], ONE + ERROR),
        ([ONE, TWO[:40], TWO[40:80]], ONE + ERROR),
        ([ONE, TWO, DONE], ONE + TWO + DONE),
        ([ONE, DONE, b": ping\n\n"], ONE + DONE + b": ping\n\n"),
        ([ONE, DONE[:-1]], ONE + DONE[:-1] + b"\n\n"),
        ([ONE.replace(b"\n", b"\r\n"), TWO[:40]], ONE.replace(b"\n", b"\r\n") + ERROR),
    ],
    ids=[
        "between events",
        "within an event",
        "within an event of pieces",
        "after the end",
        "after a comment after the end",
        "within the blank line of the end",
        "other lines",
    ],
)
async def test_a_stream_ends_with_an_error_event(
    engine: RawEngine, answered: Any, ending: Any, pieces: list[bytes], told: bytes
) -> None:
    engine.pieces, engine.ending = pieces, ending
    assert await answered() == told


async def test_a_stream_without_a_beginning_is_an_error(
    engine: RawEngine, gateway: Gateway, http: aiohttp.ClientSession, ending: Any
) -> None:
    engine.pieces, engine.ending = [], ending
    async with http.post(f"{gateway.url}/v1/chat/completions", json=BODY) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (502, "engine_failed")


async def test_the_log_says_so_and_has_the_tokens_until_then(
    engine: RawEngine, gateway: Gateway, answered: Any
) -> None:
    engine.pieces, engine.ending = [ONE, TWO, chunk("p", 2)[:-20]], "fin"
    await answered()
    line = await gateway.log_line()
    assert (line["status"], line["seen"]["state"], line["attempts"]) == (200, "broken_off", 1)
    assert json.loads(line["seen"]["usage"])["completion_tokens"] == usage(2)["completion_tokens"]


async def test_a_length_that_was_told_changes_nothing(engine: RawEngine, answered: Any) -> None:
    engine.pieces, engine.ending = [ONE, TWO], "fin"
    engine.headers = (EVENTS, f"content-length: {len(ONE + TWO) + 1}")
    assert await answered() == ONE + TWO + ERROR
    engine.headers, engine.ending = (EVENTS, f"content-length: {len(ONE + TWO)}"), "whole"
    assert await answered() == ONE + TWO


async def test_an_answer_that_ends_with_its_connection_is_whole(engine: RawEngine, answered: Any) -> None:
    engine.pieces, engine.headers, engine.ending = [ONE, TWO[:40]], (EVENTS,), "fin"
    assert await answered() == ONE + TWO[:40]


@pytest.mark.parametrize(("status", "kind"), [(200, JSON), (500, EVENTS)], ids=["no stream", "an error"])
async def test_other_answers_are_reset(engine: RawEngine, answered: Any, ending: Any, status: int, kind: str) -> None:
    engine.pieces, engine.ending, engine.status, engine.headers = [b'{"half": '], ending, status, (kind, CHUNKED)
    with pytest.raises(aiohttp.ClientPayloadError):
        await answered()


async def test_what_is_compressed_passes_as_it_comes(engine: RawEngine, answered: Any) -> None:
    engine.pieces, engine.headers = [gzip.compress(ONE + TWO)], (EVENTS, CHUNKED, "content-encoding: gzip")
    assert await answered() == ONE + TWO


async def test_what_is_no_http_is_reset(engine: RawEngine, answered: Any) -> None:
    engine.headers = (EVENTS, CHUNKED.upper())  # so that the pieces are written as they are
    engine.pieces = [b"%x\r\n%b\r\n" % (len(ONE), ONE), b"no length\r\n"]
    with pytest.raises(aiohttp.ClientPayloadError):
        await answered()


async def test_the_sdk_raises_what_the_event_says(engine: RawEngine, gateway: Gateway) -> None:
    engine.pieces, engine.ending = [ONE, TWO[:40]], "rst"
    client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0)
    stream = await client.chat.completions.create(model="p", messages=[{"role": "user", "content": "x"}], stream=True)
    with pytest.raises(openai.APIError) as raised:
        [event async for event in stream]
    assert (raised.value.code, raised.value.message) == ("engine_failed", json.loads(BROKEN_OFF)["error"]["message"])
    await client.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
async def test_curl_ends_as_with_any_answer(engine: RawEngine, gateway: Gateway, version: str) -> None:
    engine.pieces, engine.ending = [ONE, TWO[:40]], "fin"
    command = ["curl", "--silent", "--no-buffer", version, f"{gateway.url}/v1/chat/completions"]
    asked = await asyncio.create_subprocess_exec(*command, "--data", json.dumps(BODY), stdout=asyncio.subprocess.PIPE)
    assert ((await asked.communicate())[0], asked.returncode) == (ONE + ERROR, 0)


async def test_many_streams_break_off_while_other_clients_leave(
    engine: RawEngine, gateway: Gateway, http: aiohttp.ClientSession, answered: Any, ending: Any
) -> None:
    engine.pieces, engine.ending, engine.wait = [ONE, TWO[:40]], ending, asyncio.Event()

    async def leave() -> None:
        async with http.post(f"{gateway.url}/v1/chat/completions", json=BODY) as response:
            assert await response.content.readuntil(b"\n\n") == ONE
            response.close()

    asked = [asyncio.ensure_future(answered()) for _ in range(50)]
    await asyncio.gather(*(leave() for _ in range(20)))
    left = [asyncio.ensure_future(leave()) for _ in range(20)]
    engine.wait.set()
    await asyncio.gather(*left)
    assert set(await asyncio.gather(*asked)) == {ONE + ERROR}
