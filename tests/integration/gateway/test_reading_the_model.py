"""What Envoy's program takes for the model's name, against what Python's JSON parser finds."""

from __future__ import annotations

import json

import pytest

from support.envoy import running_gateway
from support.tables import pool, table

CHAT = "/v1/chat/completions"

READABLE = {
    "blanks": ' \n{ "model" : "a" } \n',
    "last": '{"messages":[],"model":"a"}',
    "the last of several": '{"model":"b","model":"a"}',
    "the last of several, which is no text": '{"model":"a","model":5}',
    "not of inner objects": '{"model":"a","tools":[{"model":"b"}],"x":{"model":"b"}}',
    "only of inner objects": '{"x":{"model":"a"}}',
    "not of a text": json.dumps({"messages": [{"content": '{"model":"b"}'}], "model": "a"}),
    "not of an escaped text": json.dumps({"x": 'he said \\"model\\": \\"b\\" \\\\', "model": "a"}),
    "a text that ends with a backslash": json.dumps({"x": "\\", "model": "a"}),
    "a value that is the key": '{"x":"model","y":"b","model":"a"}',
    "a key in capitals": '{"Model":"a"}',
    "null": '{"model":null}',
    "a list": '{"model":["a"]}',
    "an object": '{"model":{"model":"a"}}',
    "empty": '{"model":""}',
    "a slash as PHP writes it": '{"model":"org\\/a"}',
    "an escaped letter": '{"model":"\\u0061"}',
    "brackets in texts": json.dumps({"x": "}]{[", "model": "a", "y": ']}"'}),
    "a name like a key": '{"model":"model"}',
    "no name": "{}",
    "long": json.dumps({"messages": [{"content": "x\n" * 50_000}], "model": "a"}),
    "many": json.dumps({"x": [{"y": [str(i)]} for i in range(20_000)], "model": "a"}),
}

UNREADABLE = {
    "unclosed": '{"model":"a"',
    "unclosed text": '{"model":"a',
    "a list": '["model","a"]',
    "a text": '"model"',
    "nothing but blanks": "  ",
    "more after it": '{"model":"a"} {"model":"b"}',
    "too many brackets": '{"model":"a"}}',
    "compressed": "\x1f\x8b\x08",
    "deep": "[" * 1_000_000,
    "deep objects": '{"model":' * 100_000,
}


@pytest.fixture
async def ask(small, large, http):
    """Post a body; whom it went to, or the error's message."""
    one = pool("one", small, served_names=("a", "org/a", "model"))
    async with running_gateway(table(one, pool("two", large, served_names=("b",)))) as gateway:

        async def ask_(body: str) -> str:
            async with http.post(gateway.url + CHAT, data=body) as response:
                answer = await response.json()
                return answer["model"] if response.status == 200 else answer["error"]["message"]

        yield ask_


async def test_names_are_read_as_python_reads_them(ask):
    for what, body in READABLE.items():
        model = json.loads(body).get("model")
        assert await ask(body) == ("small" if isinstance(model, str) and model else "The request names no model."), what


async def test_what_is_no_object_is_refused(ask):
    for what, body in UNREADABLE.items():
        assert await ask(body) == "The body of the request is no JSON object.", what
