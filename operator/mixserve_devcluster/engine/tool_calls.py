"""The tools that a request offers, and the call of one that stands for an answer; the same one for the same request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.engine.answers import Answer
from mixserve_devcluster.engine.request_errors import RequestError
from mixserve_devcluster.engine.tokenizer import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

# Schemas may refer to themselves; what is deeper stays empty.
_DEEPEST = 8
_SIMPLE: Mapping[str, Any] = {"string": "bak", "integer": 1, "number": 0.5, "boolean": True, "null": None}


@dataclass(frozen=True, kw_only=True)
class ToolParsing:
    """Whether the engine was told how to read calls of tools; vLLM refuses them otherwise.

    Attributes:
        automatic: `--enable-auto-tool-choice`.
        parser: a `--tool-call-parser` was given.
    """

    automatic: bool
    parser: bool


ANY = ToolParsing(automatic=True, parser=True)
"""Calls of all kinds can be read."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function that is to be called.

    Attributes:
        name: of the function.
        schema: of its arguments, as JSON schema.
        is_named: the request names it; otherwise it demands just any call.
    """

    name: str
    schema: Mapping[str, Any]
    is_named: bool


def read(body: Mapping[str, Any], parsing: ToolParsing) -> Tool | None:
    """The tool that has to be called; None where the answer is text.

    With `"auto"`, as without tools, a model is free to answer with text, and this one does.

    Raises:
        RequestError: tools or choice are not as they have to be, or the engine was not told how to read calls.
    """
    tools = _tools(body)
    choice = body.get("tool_choice", "auto" if tools else None)
    if choice is None or choice == "none":
        return None
    if tools is None:
        raise RequestError("When using `tool_choice`, `tools` must be set.", param="tool_choice")
    name = _named(choice) if isinstance(choice, dict) else None
    if name is None and choice not in ("auto", "required"):  # no set: it may be a list
        message = (
            f'Invalid value for `tool_choice`: {choice}! Only named tools, "none", "auto" or "required" are supported.'
        )
        raise RequestError(message, param="tool_choice")
    _check_parsing(choice, name, parsing)
    if choice == "auto":
        return None
    function = next((one for one in tools if name in {None, one["name"]}), None)
    if function is None:
        message = "The tool specified in `tool_choice` does not match any of the specified `tools`"
        raise RequestError(message, param="tool_choice")
    return Tool(name=function["name"], schema=function.get("parameters") or {}, is_named=name is not None)


def call(tool: Tool, *, max_tokens: int) -> Answer:
    """The answer: its text is the arguments of the call, as JSON that may be cut off by the limit (at least 1)."""
    whole = json.dumps(_example(tool.schema, 0))
    tokens = min(-(-len(whole) // CHARACTERS_PER_TOKEN), max_tokens)
    text = whole[: tokens * CHARACTERS_PER_TOKEN]
    return Answer(text=text, tokens=tokens, finish_reason="stop" if text == whole else "length")


def finish_reason(answer: Answer, tool: Tool | None) -> str:
    """Why an answer ends, in OpenAI's words: a call of the model's own choice has one of its own, a named one stops."""
    chosen = tool is not None and not tool.is_named
    return "tool_calls" if chosen and answer.finish_reason == "stop" else answer.finish_reason


def _tools(body: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The functions of the tools that are offered."""
    tools = body.get("tools")
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise RequestError("tools must be a list", param="tools")
    if not tools:
        message = "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely."
        raise RequestError(message, param="tools")
    functions = [tool.get("function") if isinstance(tool, dict) else None for tool in tools]
    for function in functions:
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RequestError("Every tool must be an object with a function that has a name", param="tools")
        if not isinstance(function.get("parameters") or {}, dict):
            raise RequestError("The parameters of a tool's function must be a JSON schema", param="tools")
    return [dict(function) for function in functions if function]


def _named(choice: Mapping[str, Any]) -> str:
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        message = (
            f"Invalid value for `function`: `{function}` in `tool_choice`! "
            'Correct usage: `{"type": "function", "function": {"name": "my_function"}}`'
        )
        raise RequestError(message, param="tool_choice")
    return name


def _check_parsing(choice: Any, name: str | None, parsing: ToolParsing) -> None:
    if parsing.automatic and parsing.parser:
        return
    if choice != "auto":
        described = f'function "{name}"' if name else f'"{choice}"'
        raise RequestError(f"tool_choice={described} requires --tool-call-parser to be set")
    if not parsing.automatic:
        raise RequestError('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')


def _example(schema: Any, depth: int) -> Any:
    """A value that a schema allows, as far as simple schemas go: the required properties, and one element of arrays."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "array":
        return [_example(schema.get("items"), depth + 1)]
    if isinstance(kind, str) and kind in _SIMPLE:
        return _SIMPLE[kind]
    return _object(schema, depth)


def _object(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return {name: _example(known.get(name), depth + 1) for name in names if isinstance(name, str)}
