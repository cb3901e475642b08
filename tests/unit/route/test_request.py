import json

import pytest

from mixserve.route.request import (
    InferenceRequest,
    Malformed,
    Message,
    Prompt,
    RequestKind,
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
            max_tokens=7,
        )
    )
    assert request[:3] == (RequestKind.CHAT, "auto", True)
    assert request.max_tokens == 7
    assert request.prompt.system == "Be brief."
    assert request.prompt.user_turns == ("Hello", "And now?")
    assert request.prompt.text == "Be brief.\nHello\nGood day.\nAnd now?"


def test_parts_of_a_message_are_text_or_attachments():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_text", "text": None},
        "and that",
    ]
    prompt = read(chat({"role": "user", "content": parts})).prompt
    assert prompt.messages == (Message("user", "What is this?\n\nand that"),)
    assert prompt.attachments == 2


def test_a_message_may_have_no_content():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert read(chat(call)).prompt == Prompt((Message("assistant", ""),))


@pytest.mark.parametrize(
    ("fields", "structured"),
    [
        ({}, False),
        ({"response_format": None}, False),
        ({"response_format": {"type": "text"}}, False),
        ({"response_format": {"type": "json_object"}}, True),
        ({"structured_outputs": None}, False),
        ({"structured_outputs": {"choice": ["a", "b"]}}, True),
    ],
)
def test_the_form_of_the_answer_is_given_or_not(fields, structured):
    assert read(chat({"role": "user", "content": "x"}, **fields)).prompt.structured_output is structured


def test_tools_are_counted():
    assert read(chat({"content": "x"}, tools=[{"type": "function"}, {"type": "function"}])).prompt.tools == 2
    assert read(chat({"content": "x"}, tools=None)).prompt.tools == 0


def test_the_newer_name_of_the_limit_wins():
    assert read(chat({"content": "x"}, max_tokens=5, max_completion_tokens=9)).max_tokens == 9
    assert read(chat({"content": "x"}, max_tokens=None)).max_tokens is None


@pytest.mark.parametrize(
    ("texts", "prompt"),
    [
        ("one", Prompt((Message("user", "one"),))),
        (["one", "two"], Prompt((Message("user", "one"), Message("user", "two")))),
        ([1, 2, 3], Prompt((), token_ids=3)),
        ([[1, 2], [3]], Prompt((), token_ids=3)),
    ],
)
def test_a_completion_and_an_embedding_have_texts_or_tokens(texts, prompt):
    completion, embedding = read(body(prompt=texts)), read(body(input=texts))
    assert (completion.kind, completion.prompt) == (RequestKind.COMPLETION, prompt)
    assert (embedding.kind, embedding.prompt) == (RequestKind.EMBEDDING, prompt)


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
    assert read(chat({"role": "user", "content": [image]})).prompt.attachments == 1
