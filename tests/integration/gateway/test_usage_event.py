"""The last event of a stream, which has its usage and no choices, is for those who have asked for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from support.envoy import running_gateway
from support.raw_engine import raw_engine
from support.tables import pool, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.envoy import Gateway
    from support.raw_engine import RawEngine

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}
TEXT = 'it says \\"choices\\":[] and \\"usage\\":{}'


def event(**body: Any) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "p"}
    return b"data: " + json.dumps({**base, **body}, separators=(",", ":")).encode() + b"\n\n"


FIRST = event(choices=[{"index": 0, "delta": {"content": TEXT}, "finish_reason": None}], usage={"prompt_tokens": 3})
LAST = event(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"


CONTENT = event(choices=[{"index": 0, "delta": {"content": "x"}, "finish_reason": None}])
WISH = {"stream_options": {"include_usage": True}}


@pytest.fixture
async def engine() -> AsyncIterator[RawEngine]:
    async with raw_engine() as running:
        running.pieces = [FIRST, LAST, DONE]
        yield running


@pytest.fixture
async def gateway(engine: RawEngine) -> AsyncIterator[Gateway]:
    async with running_gateway(table(pool("p", engine.endpoint))) as running:
        yield running


async def streamed(http: Any, gateway: Gateway, **more: Any) -> bytes:
    body = {"model": "p", "messages": [], "stream": True, **more}
    async with http.post(f"{gateway.url}/v1/chat/completions", json=body) as response:
        return bytes(await response.read())


WHOLE = FIRST + LAST + CONTENT + DONE


@pytest.mark.parametrize(
    "pieces",
    [
        [FIRST, LAST, CONTENT, DONE],
        [WHOLE],
        [WHOLE[: len(FIRST) + 60], WHOLE[len(FIRST) + 60 :]],
        [FIRST, LAST[:-1], LAST[-1:] + CONTENT, DONE],
        [bytes([byte]) for byte in WHOLE[len(FIRST) :]],
    ],
    ids=["event by event", "at once", "in halves", "without its end", "byte by byte"],
)
async def test_who_has_not_asked_does_not_get_it_and_is_accounted_all_the_same(
    engine: RawEngine, gateway: Gateway, http: Any, pieces: list[bytes]
) -> None:
    engine.pieces = pieces
    expected = b"".join(pieces).replace(LAST, b"")
    assert await streamed(http, gateway) == expected
    assert await streamed(http, gateway, **WISH) == b"".join(pieces)
    for number in range(2):
        assert json.loads((await gateway.log_line(number))["seen"]["usage"]) == USAGE


async def test_lines_may_end_as_in_windows_and_have_blanks(engine: RawEngine, gateway: Gateway, http: Any) -> None:
    first, last, done = (one.replace(b"\n", b"\r\n") for one in (FIRST, LAST, DONE))
    engine.pieces = [first, last.replace(b":[]", b": [ ]").replace(b'"usage":', b'"usage" : '), done]
    assert await streamed(http, gateway) == first + done


async def test_who_has_asked_gets_every_byte(gateway: Gateway, http: Any) -> None:
    assert await streamed(http, gateway, **WISH) == FIRST + LAST + DONE
    assert await streamed(http, gateway, stream_options={"include_usage": False}) == FIRST + DONE


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": '{"stream_options": {"include_usage": true}}'}]},
        {"include_usage": True},
        {"tools": [{"stream_options": {"include_usage": True}}]},
        {"stream_options": {"x": {"include_usage": True}}},
    ],
    ids=["in a prompt", "at the top", "in a tool", "deeper"],
)
async def test_nothing_else_asks_for_it(gateway: Gateway, http: Any, more: dict[str, Any]) -> None:
    assert await streamed(http, gateway, **more) == FIRST + DONE


async def test_a_prompt_that_speaks_of_it_does_not_hide_the_wish(gateway: Gateway, http: Any) -> None:
    prompt = [{"role": "user", "content": 'set "include_usage": false', "include_usage": 0}]
    assert await streamed(http, gateway, messages=prompt, **WISH) == FIRST + LAST + DONE


@pytest.mark.parametrize("last", [[LAST, DONE], []], ids=["alone", "with what comes after it"])
async def test_an_event_of_any_length_passes(engine: RawEngine, gateway: Gateway, http: Any, last: list[bytes]) -> None:
    long = event(choices=[{"delta": {"content": "x" * 3_000_000}}])
    pieces = [long[at : at + 100_000] for at in range(0, len(long), 100_000)]
    engine.pieces = [FIRST, *pieces, *last] if last else [FIRST, *pieces[:-1], pieces[-1] + LAST + DONE]
    assert await streamed(http, gateway) == FIRST + long + DONE


async def test_programs_that_read_the_first_choice_of_every_event_work(gateway: Gateway) -> None:
    client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0)
    stream = await client.chat.completions.create(model="p", messages=[{"role": "user", "content": "x"}], stream=True)
    assert [event.choices[0].delta.content async for event in stream] == [TEXT]
    await client.close()
