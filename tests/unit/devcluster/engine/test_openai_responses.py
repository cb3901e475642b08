from __future__ import annotations

import json
from typing import Any

import pytest

from mixserve_devcluster.engine import openai_responses
from mixserve_devcluster.engine.answers import Answer
from mixserve_devcluster.engine.openai_requests import AnsweredModel, Generation
from mixserve_devcluster.engine.openai_responses import ChatEvents, CompletionEvents, EventStream, ResponseContext

CONTEXT = ResponseContext(response_id="id-1", created=1700000000, model='na"me', prompt_tokens_details=True)


def generation(**changes: Any) -> Generation:
    answer = Answer(text="bak dol mir ", tokens=3, finish_reason="length")
    chosen = {
        "model": AnsweredModel("m"),
        "include_usage": False,
        "continuous_usage": False,
        "answer": answer,
        **changes,
    }
    return Generation(prompt=[1, 2, 3, 4, 5], max_tokens=3, stream=True, **chosen)


def events(stream: EventStream, *parts: tuple[int, int]) -> list[Any]:
    """Decoded events; [DONE] as None."""
    content = stream.beginning() + b"".join(stream.part(*part) for part in parts) + stream.end(4)
    assert content.endswith(b"\n\n")
    found = []
    for event in content[:-2].split(b"\n\n"):
        assert event.startswith(b"data: ")
        found.append(None if event == b"data: [DONE]" else json.loads(event[6:]))
    return found


def test_a_chat_streams_its_role_its_words_and_its_end() -> None:
    role, first, rest, done = events(ChatEvents(CONTEXT, generation()), (0, 1), (1, 3))
    head = {"id": "id-1", "object": "chat.completion.chunk", "created": 1700000000, "model": 'na"me'}
    assert {key: role[key] for key in head} == head
    assert role["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    ]
    assert first["choices"] == [
        {"index": 0, "delta": {"content": "bak "}, "logprobs": None, "finish_reason": None, "token_ids": None}
    ]
    assert rest["choices"][0]["delta"] == {"content": "dol mir "}
    assert (rest["choices"][0]["finish_reason"], rest["choices"][0]["stop_reason"]) == ("length", None)
    assert "usage" not in role | first | rest
    assert done is None


def test_a_completion_streams_texts() -> None:
    first, rest, done = events(CompletionEvents(CONTEXT, generation()), (0, 2), (2, 3))
    assert (first["object"], first["choices"][0]["text"], rest["choices"][0]["text"]) == (
        "text_completion",
        "bak dol ",
        "mir ",
    )
    assert rest["choices"][0]["finish_reason"] == "length"
    assert done is None


def test_usage_comes_last_with_no_choices() -> None:
    *_, usage, done = events(ChatEvents(CONTEXT, generation(include_usage=True)), (0, 3))
    assert (usage["choices"], usage["system_fingerprint"]) == ([], "simulated")
    assert usage["usage"] == {
        "prompt_tokens": 5,
        "total_tokens": 8,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4, "created_cache_tokens": 0},
    }
    assert done is None


def test_cached_tokens_are_said_only_when_the_server_is_told_to() -> None:
    context = ResponseContext(response_id="i", created=1, model="m", prompt_tokens_details=False)
    *_, usage, _ = events(ChatEvents(context, generation(include_usage=True)), (0, 3))
    assert "prompt_tokens_details" not in usage["usage"]
    assert openai_responses.chat(context, generation(), 4)["usage"]["prompt_tokens_details"] is None


@pytest.mark.parametrize("kind", [ChatEvents, CompletionEvents])
def test_usage_may_come_with_every_part(kind: type[ChatEvents | CompletionEvents]) -> None:
    found = events(kind(CONTEXT, generation(include_usage=True, continuous_usage=True)), (0, 1), (1, 3))
    completed = [event["usage"]["completion_tokens"] for event in found[:-1]]
    assert completed[-3:] == [1, 3, 3]
    assert found[0]["usage"]["prompt_tokens"] == 5


def test_the_end_names_the_stop_string_as_json() -> None:
    answer = Answer(text="bak", tokens=3, finish_reason="stop", stop_reason='"')
    *_, last, _ = events(ChatEvents(CONTEXT, generation(answer=answer)), (0, 3))
    assert (last["choices"][0]["finish_reason"], last["choices"][0]["stop_reason"]) == ("stop", '"')


def test_a_whole_chat_has_its_message_and_usage() -> None:
    answer = openai_responses.chat(CONTEXT, generation(), 4)
    (choice,) = answer["choices"]
    assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", "bak dol mir ")
    assert (choice["finish_reason"], answer["object"], answer["system_fingerprint"]) == (
        "length",
        "chat.completion",
        "simulated",
    )
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4


def test_a_whole_completion_has_its_text_and_usage() -> None:
    answer = openai_responses.completion(CONTEXT, generation(), 0)
    assert (answer["choices"][0]["text"], answer["object"]) == ("bak dol mir ", "text_completion")
    assert answer["usage"]["total_tokens"] == 8
