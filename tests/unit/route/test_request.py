import json

import pytest

from mixserve.route.request import (
    InferenceRequest,
    Malformed,
    Message,
    Prompt,
    read_request,
)


def body(**fields: object) -> bytes:
    return json.dumps({"model": "auto", **fields}).encode()


def chat(*messages: object, **fields: object) -> bytes:
    return body(messages=list(messages), **fields)


def read(raw: bytes) -> InferenceRequest:
    request = read_request(raw)
    assert isinstance(request, InferenceRequest), request
    return request


def refused(raw: bytes) -> Malformed:
    request = read_request(raw)
    assert isinstance(request, Malformed), request
    return request


def test_a_chat_is_read_with_its_messages_in_order():
    request = read(
        chat(
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Good day."},
            {"role": "user", "content": "And now?"},
            stream=True,
        )
    )
    assert (request.model, request.stream) == ("auto", True)
    assert [message.role for message in request.prompt.messages] == ["developer", "user", "assistant", "user"]
    assert request.prompt.text == "Be brief.\nHello\nGood day.\nAnd now?"


def test_parts_of_a_message_are_text_or_can_not_be_read():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_text", "text": None},
        "and that",
    ]
    [message] = read(chat({"role": "user", "content": parts})).prompt.messages
    assert message == Message("user", "What is this?\n\nand that", unread=True)
    [message] = read(chat({"role": "user", "content": parts[:1]})).prompt.messages
    assert not message.unread


def test_a_message_may_have_no_content():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert read(chat(call)).prompt == Prompt((Message("assistant", ""),))


@pytest.mark.parametrize("fields", [{"tools": [{}]}, {"max_tokens": "many"}, {"response_format": 3}])
def test_what_no_decision_reads_is_left_to_the_engine(fields):
    assert read(chat({"content": "x"}, **fields)) == read(chat({"content": "x"}))


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        ("one", (Message("user", "one"),)),
        (["one", "two"], (Message("user", "one"), Message("user", "two"))),
        ([1, 2, 3], (Message("user", "", unread=True),)),
        ([[1, 2], [3]], (Message("user", "", unread=True),)),
        (["one", [3]], (Message("user", "one"), Message("user", "", unread=True))),
        ([], ()),
    ],
)
def test_a_completion_and_an_embedding_have_texts_or_tokens(texts, messages):
    assert read(body(prompt=texts)) == read(body(input=texts))
    assert read(body(prompt=texts)).prompt.messages == messages


@pytest.mark.parametrize(
    ("raw", "message", "param"),
    [
        (b"", "The body is not valid JSON: Input data was truncated.", None),
        (b'{"model":"a",}', "The body is not valid JSON: JSON is malformed: trailing comma", None),
        (b'{"model":"a"} {}', "The body is not valid JSON: JSON is malformed: trailing characters", None),
        (b'{"model":"a","temperature":NaN}', "The body is not valid JSON", None),
        (b'\xef\xbb\xbf{"model":"a"}', "The body is not valid JSON", None),
        (b'{"model":"a","x":"\xff"}', "The body is not valid UTF-8 (byte 18).", None),
        (b'{"model":"\\ud800","prompt":"x"}', "The body is not valid JSON", None),
        (b"[]", "The body is not a JSON object: Expected object, got array.", None),
        (b'{"prompt":"x"}', "The field model is missing.", "model"),
        (b'{"model":5}', "Invalid value for model: expected str, got int.", "model"),
        (b'{"model":"a"}', "One of the fields messages, prompt and input is needed.", None),
        (
            b'{"model":"a","messages":[{"content":{}}]}',
            "Invalid value for messages[0].content: expected str | array | null, got object.",
            "messages[0].content",
        ),
        (b'{"model":"a","prompt":"x","stream":"true"}', "Invalid value for stream: expected bool", "stream"),
    ],
)
def test_what_is_malformed_says_why(raw, message, param):
    refusal = refused(raw)
    assert refusal.message.startswith(message)
    assert refusal.param == param


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [5_000, 2_000_000])
@pytest.mark.parametrize("field", [b"x", b"tools", b"messages", b"prompt"])
def test_deep_nesting_is_refused(opening, depth, field):
    refusal = refused(b'{"model":"a","prompt":"x","%s":%s' % (field, opening * depth))
    assert refusal.message.startswith(("The body is nested too deeply.", "Invalid value", "The body is not valid JSON"))


def test_what_is_skipped_may_be_large():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3_000_000}}
    assert read(chat({"role": "user", "content": [image]})).prompt.messages == (Message("user", "", unread=True),)
