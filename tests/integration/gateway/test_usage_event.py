"""The last event of a stream, which has its usage and no choices, is for those who have asked for it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from support.envoy import running_gateway
from support.tables import pool, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.envoy import Gateway

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}
TEXT = 'it says \\"choices\\":[] and \\"usage\\":{}'


def event(**body: Any) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "p"}
    return b"data: " + json.dumps({**base, **body}, separators=(",", ":")).encode() + b"\n\n"


FIRST = event(choices=[{"index": 0, "delta": {"content": TEXT}, "finish_reason": None}], usage={"prompt_tokens": 3})
LAST = event(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The stream, in the pieces that the request's `user` names: one for each event, or all at once."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        pieces = [FIRST, LAST, DONE] if body.get("user") != "at once" else [FIRST + LAST + DONE]
        kind = (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n"
        )
        writer.write(kind)
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.005)  # so that the pieces arrive one by one
        writer.write(b"0\r\n\r\n")


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running_gateway(table(pool("p", endpoint))) as running:
        yield running
    server.close()


async def streamed(http: Any, gateway: Gateway, **more: Any) -> bytes:
    body = {"model": "p", "messages": [], "stream": True, **more}
    async with http.post(f"{gateway.url}/v1/chat/completions", json=body) as response:
        return bytes(await response.read())


@pytest.mark.parametrize("user", ["event by event", "at once"])
async def test_who_has_not_asked_does_not_get_it_and_is_accounted_all_the_same(
    gateway: Gateway, http: Any, user: str
) -> None:
    assert await streamed(http, gateway, user=user) == FIRST + DONE
    assert json.loads((await gateway.log_line())["seen"]["usage"]) == USAGE


async def test_who_has_asked_gets_every_byte(gateway: Gateway, http: Any) -> None:
    assert await streamed(http, gateway, stream_options={"include_usage": True}) == FIRST + LAST + DONE
    assert await streamed(http, gateway, stream_options={"include_usage": False}) == FIRST + DONE


async def test_programs_that_read_the_first_choice_of_every_event_work(gateway: Gateway) -> None:
    client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0)
    stream = await client.chat.completions.create(model="p", messages=[{"role": "user", "content": "x"}], stream=True)
    assert [event.choices[0].delta.content async for event in stream] == [TEXT]
    await client.close()
