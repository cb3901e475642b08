from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mixserve_devcluster.engine import tool_calls
from mixserve_devcluster.engine.openai_requests import AnsweredModel, Generation, Limits, read_chat
from mixserve_devcluster.engine.openai_responses import ResponseContext, ToolCallEvents, chat, chat_events
from mixserve_devcluster.engine.request_errors import RequestError
from mixserve_devcluster.engine.tool_calls import Tool, ToolParsing

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unused": {"type": "boolean"}},
    "required": ["city", "days"],
}
NAMED = {"type": "function", "function": {"name": "clock"}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}, NAMED]
CONTEXT = ResponseContext(response_id="chatcmpl-1", created=1, model="m", prompt_tokens_details=False)


def read(**body: Any) -> Tool | None:
    return tool_calls.read({"tools": TOOLS, **body}, tool_calls.ANY)


def generation(**body: Any) -> Generation:
    request = {"messages": [{"role": "user", "content": "hello"}], "tools": TOOLS, "tool_choice": "required", **body}
    return read_chat(request, Limits(served_names=("m",), max_model_len=1000))


def test_text_is_the_answer_unless_a_call_is_demanded() -> None:
    assert [read(), read(tool_choice="auto"), read(tool_choice="none"), read(tool_choice=None)] == [None] * 4
    assert read(tools=None) is None
    assert generation(tool_choice="auto").tool is None


def test_a_call_that_is_demanded_is_one_of_the_first_tool_or_of_the_named_one() -> None:
    first, named = read(tool_choice="required"), read(tool_choice=NAMED)

    assert first == Tool(name="weather", schema=WEATHER, is_named=False)
    assert named == Tool(name="clock", schema={}, is_named=True)


def test_the_arguments_are_what_the_schema_needs() -> None:
    asked = generation()

    assert json.loads(asked.answer.text) == {"city": "bak", "days": 1}
    assert (asked.answer.tokens, asked.answer.finish_reason) == (7, "stop")


def test_a_call_of_the_models_choice_has_a_reason_of_its_own() -> None:
    reasons = [
        tool_calls.finish_reason(one.answer, one.tool)
        for one in (
            generation(),
            generation(tool_choice=NAMED),
            generation(max_tokens=2),
            generation(tool_choice="none"),
        )
    ]

    assert reasons[:3] == ["tool_calls", "stop", "length"]
    assert reasons[3] in {"stop", "length"}


def test_the_limit_cuts_the_arguments_off() -> None:
    cut = generation(max_tokens=2).answer

    assert (cut.text, cut.tokens, cut.finish_reason) == ('{"city":', 2, "length")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "number"}}, [0.5]),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, {}),
        (
            {"properties": {"a": {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}}, "required": ["a"]},
            {"a": {"b": True}},
        ),
        ({"required": ["a", 1]}, {"a": None}),
        ({"required": "a", "properties": 3}, {}),
    ],
)
def test_values_follow_simple_schemas(schema: dict[str, Any], value: Any) -> None:
    answer = tool_calls.call(
        Tool(name="f", schema={"required": ["x"], "properties": {"x": schema}}, is_named=False), max_tokens=99
    )

    assert json.loads(answer.text) == {"x": value}


def test_a_schema_that_goes_on_for_ever_ends() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema

    assert tool_calls.call(Tool(name="f", schema=schema, is_named=False), max_tokens=99).finish_reason == "stop"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tools": {}}, "tools must be a list"),
        ({"tools": []}, "`tools` must not be an empty array"),
        ({"tools": ["weather"]}, "Every tool must be an object"),
        ({"tools": [{"function": {"name": 3}}]}, "with a function that has a name"),
        ({"tools": [{"function": {"name": "f", "parameters": [1]}}]}, "must be a JSON schema"),
        ({"tools": None, "tool_choice": "required"}, "When using `tool_choice`, `tools` must be set."),
        ({"tool_choice": "some"}, "Invalid value for `tool_choice`: some!"),
        ({"tool_choice": ["auto"]}, "Invalid value for `tool_choice`: ['auto']!"),
        ({"tool_choice": {"function": "f"}}, "Invalid value for `function`: `f` in `tool_choice`!"),
        ({"tool_choice": {"function": {"name": ""}}}, "Invalid value for `function`"),
        ({"tool_choice": {"function": {"name": "other"}}}, "does not match any of the specified `tools`"),
    ],
)
def test_what_is_no_tool_or_choice_is_refused_in_vllms_words(body: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)) as error:
        read(**body)
    assert str(error.value.param).startswith("tool")


@pytest.mark.parametrize(
    ("parsing", "choice", "message"),
    [
        ((False, False), "auto", '"auto" tool choice requires --enable-auto-tool-choice'),
        ((False, True), "required", 'tool_choice="required" requires --tool-call-parser'),
        ((True, False), NAMED, 'tool_choice=function "clock" requires --tool-call-parser'),
    ],
)
def test_an_engine_that_cant_read_calls_says_so(parsing: tuple[bool, bool], choice: Any, message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        tool_calls.read({"tools": TOOLS, "tool_choice": choice}, ToolParsing(automatic=parsing[0], parser=parsing[1]))


def test_with_automatic_choice_and_no_parser_tools_are_just_prompt() -> None:
    assert tool_calls.read({"tools": TOOLS}, ToolParsing(automatic=True, parser=False)) is None


def test_a_whole_answer_has_the_call_and_no_text() -> None:
    (choice,) = chat(CONTEXT, generation(), 0)["choices"]

    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == ""
    assert choice["message"]["tool_calls"] == [
        {
            "id": "chatcmpl-tool-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "bak", "days": 1}'},
        }
    ]


def test_a_stream_names_the_call_once_and_brings_its_arguments_in_pieces() -> None:
    events = chat_events(CONTEXT, generation())
    content = events.part(0, 2) + events.part(2, 7)
    deltas = [json.loads(event[6:])["choices"][0] for event in content.decode().split("\n\n")[:-1]]

    assert isinstance(events, ToolCallEvents)
    assert deltas[0]["delta"]["tool_calls"] == [
        {
            "index": 0,
            "id": "chatcmpl-tool-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":'},
        }
    ]
    assert deltas[1]["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": ' "bak", "days": 1}'}}]
    assert [one["finish_reason"] for one in deltas] == [None, "tool_calls"]


def test_the_model_is_the_one_that_was_asked() -> None:
    assert generation().model == AnsweredModel("m")
