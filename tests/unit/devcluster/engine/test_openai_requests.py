from __future__ import annotations

import json
from typing import Any

import pytest

from mixserve_devcluster.engine.openai_requests import (
    Generation,
    Limits,
    RequestError,
    read_body,
    read_chat,
    read_completion,
)

LIMITS = Limits(served_names=("first", "second"), max_model_len=100)
HELLO = [{"role": "user", "content": "hello world!"}]


def chat(**body: Any) -> Generation:
    return read_chat({"messages": HELLO, **body}, LIMITS)


def completion(**body: Any) -> Generation:
    return read_completion({"prompt": "hello world!", **body}, LIMITS)


def test_a_chat_may_use_what_is_left_of_the_context() -> None:
    generation = chat(ignore_eos=True)
    assert len(generation.prompt) == 6  # role, three of text, end of turn, the assistant's role
    assert generation.max_tokens == generation.answer.tokens == 94


def test_a_completion_has_vllms_default_of_16_tokens() -> None:
    assert completion().max_tokens == 16


def test_the_newer_name_of_the_limit_wins() -> None:
    assert chat(max_tokens=5, max_completion_tokens=7).max_tokens == 7
    assert chat(max_tokens=5).max_tokens == 5


@pytest.mark.parametrize("model", ["first", "second", "", None])
def test_any_served_name_will_do_and_none_as_well(model: str | None) -> None:
    assert chat(model=model).max_tokens


def test_content_may_come_in_parts_or_be_missing() -> None:
    parts = [{"type": "text", "text": "hello "}, "world!"]
    assert chat(messages=[{"role": "user", "content": parts}]).prompt == chat().prompt
    assert len(chat(messages=[{"role": "assistant", "content": None}]).prompt) == 3


def test_tools_are_part_of_the_prompt() -> None:
    assert len(chat(tools=[{"type": "function", "function": {"name": "f"}}]).prompt) > len(chat().prompt)


@pytest.mark.parametrize("prompt", ["hello world!", ["hello world!"]])
def test_a_prompt_is_a_text(prompt: Any) -> None:
    assert completion(prompt=prompt).prompt == completion().prompt


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2, 3]]])
def test_or_a_list_of_tokens(prompt: Any) -> None:
    assert completion(prompt=prompt).prompt == [1, 2, 3]


def test_streams_report_usage_when_asked_or_when_the_server_insists() -> None:
    assert not chat(stream=True).include_usage
    asked = chat(stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True})
    assert (asked.include_usage, asked.continuous_usage) == (True, True)
    forced = Limits(served_names=("first",), max_model_len=100, force_include_usage=True)
    insisted = read_chat({"messages": HELLO, "stream": True}, forced)
    assert (insisted.include_usage, insisted.continuous_usage) == (True, True)
    alone = chat(stream=True, stream_options={"continuous_usage_stats": True})
    assert (alone.include_usage, alone.continuous_usage) == (False, False)


def test_stop_is_a_text_or_several() -> None:
    whole = chat(max_tokens=20, ignore_eos=True).answer.text
    assert chat(max_tokens=20, ignore_eos=True, stop=whole[8:12]).answer.text == whole[:8]
    assert chat(max_tokens=20, ignore_eos=True, stop=["nowhere", whole[8:12]]).answer.text == whole[:8]


@pytest.mark.parametrize(
    "ignorable",
    [
        *({"temperature": 0.7}, {"temperature": 1}, {"temperature": None}, {"top_p": 0.9}, {"top_k": -1}),
        *({"logprobs": False}, {"n": 1}, {"seed": -3}, {"x": "y"}),
    ],
)
def test_what_changes_no_made_up_word_is_taken(ignorable: dict[str, Any]) -> None:
    assert chat(**ignorable) == chat()


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"n": 2}, "n", "n must be 1, got 2"),
        ({"n": "1"}, "n", "n must be an integer"),
        ({"logprobs": True}, "logprobs", "does not support logprobs"),
        ({"top_logprobs": 0}, "top_logprobs", "does not support top_logprobs"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens must be at least 1, got 0."),
        ({"max_tokens": True}, "max_tokens", "max_tokens must be an integer, got True."),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens", "must be an integer"),
        ({"max_tokens": 2, "min_tokens": 3}, "min_tokens", "less than or equal to max_tokens=2, got 3."),
        ({"max_tokens": 95}, "input_tokens", "maximum context length is 100 tokens. However, you requested 95 output"),
        ({"stream": "yes"}, "stream", "stream must be true or false, got 'yes'."),
        ({"stream_options": {}}, "stream_options", "can only be defined when `stream=True`"),
        ({"stream": True, "stream_options": 3}, "stream_options", "must be an object"),
        ({"stop": 3}, "stop", "stop must be a text or a list of texts"),
        ({"stop": [""]}, "stop", "none of them empty"),
        ({"messages": []}, "messages", "at least one message"),
        ({"messages": ["hello"]}, "messages", "must be an object with a role"),
        ({"messages": [{"content": "hello"}]}, "messages", "must be an object with a role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages", "messages of text only"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages", "messages of text only"),
        ({"messages": [{"role": "user", "content": 0}]}, "messages", "messages of text only"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages", "messages of text only"),
        ({"messages": [{"role": "user", "content": False}]}, "messages", "messages of text only"),
        ({"temperature": "warm"}, "temperature", "temperature must be a number, got 'warm'."),
        ({"temperature": True}, "temperature", "temperature must be a number, got True."),
        ({"top_p": [0.9]}, "top_p", "top_p must be a number"),
        ({"frequency_penalty": {}}, "frequency_penalty", "frequency_penalty must be a number"),
        ({"top_k": 1.5}, "top_k", "top_k must be an integer"),
        ({"seed": "1"}, "seed", "seed must be an integer"),
        ({"model": 3}, "model", "model must be a text, got 3."),
        ({"tools": {"type": "function"}}, "tools", "tools must be a list"),
        ({"messages": [{"role": "user", "content": "x" * 400}]}, "input_tokens", "at least 103 input tokens"),
    ],
)
def test_a_wrong_chat_is_refused_with_the_field_and_why(body: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(RequestError, match=message.replace("(", r"\(")) as error:
        chat(**body)
    assert error.value.body() == {
        "error": {"message": str(error.value), "type": "BadRequestError", "param": param, "code": 400}
    }


@pytest.mark.parametrize("prompt", [None, "", [], ["a", "b"], [[1], [2]], [True], 3])
def test_a_completion_takes_one_prompt(prompt: Any) -> None:
    with pytest.raises(RequestError, match="prompt must be a text or a list of token ids") as error:
        completion(prompt=prompt)
    assert error.value.param == "prompt"


def test_echo_is_not_supported() -> None:
    with pytest.raises(RequestError, match="does not support echo"):
        completion(echo=True)


def test_an_unknown_model_is_not_found_in_vllms_words() -> None:
    with pytest.raises(RequestError, match="The model `third` does not exist") as error:
        chat(model="third")
    assert (error.value.status, error.value.kind, error.value.param) == (404, "NotFoundError", "model")


def test_a_body_is_a_json_object() -> None:
    assert read_body(json.dumps({"a": 1}).encode()) == {"a": 1}
    with pytest.raises(RequestError, match="The body is not valid JSON"):
        read_body(b"{")
    with pytest.raises(RequestError, match="The body must be a JSON object"):
        read_body(b"[]")
