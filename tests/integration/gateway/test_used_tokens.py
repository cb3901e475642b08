"""What Envoy's module takes for the tokens that an answer used, whatever the pieces are that it comes in."""

from __future__ import annotations

import json

import pytest

from support.envoy import running_gateway
from support.raw_engine import CHUNKED, EVENTS, JSON, raw_engine
from support.scripted_engine import CHUNKS, chunk, usage, whole_stream
from support.tables import pool, table

CHAT = "/v1/chat/completions"


@pytest.fixture
async def asked(http):
    """Ask for an answer of these pieces; its body, and what the log says of its tokens."""
    number = 0
    async with raw_engine() as engine, running_gateway(table(pool("p", engine.endpoint))) as gateway:

        async def ask(pieces: list[bytes], kind: str = EVENTS) -> tuple[bytes, object]:
            nonlocal number
            engine.pieces, engine.headers = pieces, (kind, CHUNKED)
            async with http.post(gateway.url + CHAT, json={"model": "p"}) as response:
                body = await response.read()
            used = (await gateway.log_line(number))["seen"].get("usage")
            number += 1
            return body, used and json.loads(used)

        yield ask


@pytest.mark.parametrize("size", [1, 7, 100, 333, 4000, 10**6])
async def test_pieces_of_any_size(asked, size):
    whole = whole_stream("p")
    pieces = (
        [whole[start : start + size] for start in range(0, len(whole), size)]
        if size > 1
        else _around_the_last_usage(whole)
    )
    assert await asked(pieces) == (whole, usage(CHUNKS))


def _around_the_last_usage(whole: bytes) -> list[bytes]:
    """Byte by byte where the last usage stands, in one piece before it."""
    start = whole.rindex(b'"usage"') - 3
    return [whole[:start], *(bytes([byte]) for byte in whole[start:])]


async def test_the_last_one_counts_and_null_is_none(asked):
    last = b'data: {"choices":[],"usage":{"prompt_tokens":3,"x":{"y":{}}}}\n\n'
    none = b'data: {"usage":null,"choices":[]}\n\n'
    assert (await asked([chunk("p", 0), none, last, none, b"data: [DONE]\n\n"]))[1] == {
        "prompt_tokens": 3,
        "x": {"y": {}},
    }
    assert (await asked([none]))[1] is None


async def test_a_text_of_the_model_is_no_usage(asked):
    text = json.dumps({"choices": [{"text": 'so {"usage": {"prompt_tokens": 9}} is JSON'}], "usage": usage(1)}).encode()
    assert await asked([text], JSON) == (text, usage(1))


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": "usage"}},
        {"message": {"tool_calls": [{"function": {"name": "usage", "arguments": "{}"}}]}},
        {"logprobs": {"top_logprobs": [{"usage": -0.1, "use": -2}]}},
    ],
    ids=["text", "tool", "token"],
)
async def test_the_word_itself_is_no_usage(asked, choice):
    text = json.dumps({"choices": [choice], "usage": usage(2)}).encode()
    assert await asked([text], JSON) == (text, usage(2))


async def test_a_stream_that_says_the_word_is_counted_on(asked):
    word = chunk("p", 1).replace(b'" 1"', b'"usage"')
    whole = [chunk("p", 0), word, *(chunk("p", number) for number in range(2, CHUNKS))]
    assert await asked(whole) == (b"".join(whole), usage(CHUNKS))


async def test_a_long_answer_has_it_anywhere(asked):
    used = json.dumps(usage(5))
    for before, after in ((2_000_000, 0), (0, 2_000_000), (300_000, 300_000)):
        text = f'{{"a":"{"x" * before}","usage":{used},"z":"{"y" * after}"}}'.encode()
        pieces = [text[start : start + 50_000] for start in range(0, len(text), 50_000)]
        assert await asked(pieces, JSON) == (text, usage(5))


async def test_a_usage_that_never_ends_is_given_up(asked):
    text = b'{"usage":{' + b'"x":{' * 20_000
    body, used = await asked([text[start : start + 1000] for start in range(0, len(text), 1000)], JSON)
    assert (len(body), used) == (len(text), None)
