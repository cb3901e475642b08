"""Writing answers in OpenAI's form, field by field as vLLM does.

The parts of a stream are put together from text that is encoded once per request: made-up words need no escaping,
and a part goes out for each token of each request.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mixserve_devcluster.engine.tool_calls import finish_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.engine.openai_requests import Generation
    from mixserve_devcluster.engine.tool_calls import Tool

DONE = b"data: [DONE]\n\n"
# Tells whoever looks at an answer that no model made it.
FINGERPRINT = "simulated"


@dataclass(frozen=True, kw_only=True)
class ResponseContext:
    """What all parts of an answer have in common.

    Attributes:
        created: seconds since the epoch.
        model: as answers call it: the first served name, or an adapter's.
        prompt_tokens_details: say how many prompt tokens were cached.
    """

    response_id: str
    created: int
    model: str
    prompt_tokens_details: bool


def chat(context: ResponseContext, generation: Generation, cached_tokens: int) -> dict[str, Any]:
    """The answer to a chat that is not streamed."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": generation.answer.text if generation.tool is None else "",
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "reasoning": None,
    }
    if generation.tool is not None:
        message["tool_calls"] = [_tool_call(context, generation.tool, generation.answer.text)]
    choice = {"index": 0, "message": message, **_ending(generation), "token_ids": None, "routed_experts": None}
    return {
        **_head(context, "chat.completion"),
        "choices": [choice],
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": _usage(context, generation, cached_tokens, created=0),
        "prompt_logprobs": None,
        "prompt_token_ids": None,
        "prompt_text": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def completion(context: ResponseContext, generation: Generation, cached_tokens: int) -> dict[str, Any]:
    """The answer to a completion that is not streamed."""
    choice = {
        "index": 0,
        "text": generation.answer.text,
        **_ending(generation),
        "token_ids": None,
        "prompt_logprobs": None,
        "prompt_token_ids": None,
    }
    return {
        **_head(context, "text_completion"),
        "choices": [choice],
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": _usage(context, generation, cached_tokens),
        "kv_transfer_params": None,
    }


class EventStream(ABC):
    """The server-sent events of one answer; the subclasses differ in how a piece of text is wrapped.

    Attributes:
        running_details: what else vLLM puts into the token counts of every part.
        going_on: the ending of a choice that is not the last one.
        prompt_ids: what stands beside the end of a choice.
        created_tokens: what it says in the end of tokens that were written to the prefix cache for others.
    """

    running_details: ClassVar[Mapping[str, None]] = {}
    created_tokens: ClassVar[int | None] = None
    going_on: ClassVar[str] = '"finish_reason":null'
    prompt_ids: ClassVar[str] = ""

    def __init__(self, context: ResponseContext, generation: Generation, kind: str) -> None:
        self._context = context
        self._generation = generation
        self._head = _head(context, kind)
        self._prefix = f"data: {_compact(self._head)[:-1]}"

    @abstractmethod
    def beginning(self) -> bytes:
        """What precedes the first token."""

    @abstractmethod
    def wrapped(self, text: str) -> str:
        """A piece of text, with all of its choice but the ending."""

    def part(self, start: int, end: int) -> bytes:
        """The event for tokens `start` to `end`; the last one says why the answer ends."""
        answer = self._generation.answer
        ending = self.going_on
        if end == answer.tokens:
            stop = json.dumps(answer.stop_reason)
            reason = finish_reason(answer, self._generation.tool)
            ending = f'"finish_reason":"{reason}","stop_reason":{stop}{self.prompt_ids}'
        choice = f'{self.wrapped(answer.part(start, end))},{ending},"token_ids":null'
        return f'{self._prefix},"choices":[{{{choice}}}]{self._running_usage(end)}}}\n\n'.encode()

    def end(self, cached_tokens: int) -> bytes:
        """The token counts, if they were asked for, and the end of the stream."""
        if not self._generation.include_usage:
            return DONE
        usage = _usage(self._context, self._generation, cached_tokens, created=self.created_tokens)
        event = {
            **self._head,
            "choices": [],
            "usage": _without_nulls(usage),
            "system_fingerprint": FINGERPRINT,
        }
        return f"data: {_compact(event)}\n\n".encode() + DONE

    def _running_usage(self, completed: int) -> str:
        if not (self._generation.include_usage and self._generation.continuous_usage):
            return ""
        counts = {**_counts(len(self._generation.prompt), completed), **self.running_details}
        return f',"usage":{_compact(counts)}'


class ChatEvents(EventStream):
    """The events of a chat; a first one brings the role."""

    running_details: ClassVar[Mapping[str, None]] = {"completion_tokens_details": None}
    created_tokens: ClassVar[int | None] = 0

    def __init__(self, context: ResponseContext, generation: Generation) -> None:
        super().__init__(context, generation, "chat.completion.chunk")

    def beginning(self) -> bytes:
        """The event with the role."""
        choice = '"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null'
        usage = self._running_usage(0)
        rest = f'{usage},"prompt_token_ids":null,"prompt_text":null'
        return f'{self._prefix},"choices":[{{{choice}}}]{rest}}}\n\n'.encode()

    def wrapped(self, text: str) -> str:
        """A delta."""
        return f'"index":0,"delta":{{"content":"{text}"}},"logprobs":null'


class ToolCallEvents(ChatEvents):
    """The events of a chat that calls a tool: its name with the first piece of the arguments."""

    def __init__(self, context: ResponseContext, generation: Generation, tool: Tool) -> None:
        super().__init__(context, generation)
        self._call: dict[str, Any] = {"index": 0, **_tool_call(context, tool, "")}

    def wrapped(self, text: str) -> str:
        """A delta; what identifies the call is in the first one only."""
        self._call["function"]["arguments"] = text
        delta = _compact({"tool_calls": [self._call]})
        self._call = {"index": 0, "function": {}}
        return f'"index":0,"delta":{delta},"logprobs":null'


def chat_events(context: ResponseContext, generation: Generation) -> ChatEvents:
    """The events of a chat, with or without a call of a tool."""
    if generation.tool is None:
        return ChatEvents(context, generation)
    return ToolCallEvents(context, generation, generation.tool)


class CompletionEvents(EventStream):
    """The events of a completion."""

    going_on: ClassVar[str] = '"finish_reason":null,"stop_reason":null,"prompt_token_ids":null'
    prompt_ids: ClassVar[str] = ',"prompt_token_ids":null'

    def __init__(self, context: ResponseContext, generation: Generation) -> None:
        super().__init__(context, generation, "text_completion")

    def beginning(self) -> bytes:
        """Nothing."""
        return b""

    def wrapped(self, text: str) -> str:
        """A text."""
        return f'"index":0,"text":"{text}","logprobs":null'


def _head(context: ResponseContext, kind: str) -> dict[str, Any]:
    return {"id": context.response_id, "object": kind, "created": context.created, "model": context.model}


def _tool_call(context: ResponseContext, tool: Tool, arguments: str) -> dict[str, Any]:
    # One call for each answer, so its id follows from the answer's.
    call_id = f"chatcmpl-tool-{context.response_id.removeprefix('chatcmpl-')}"
    return {"id": call_id, "type": "function", "function": {"name": tool.name, "arguments": arguments}}


def _ending(generation: Generation) -> dict[str, Any]:
    answer = generation.answer
    reason = finish_reason(answer, generation.tool)
    return {"logprobs": None, "finish_reason": reason, "stop_reason": answer.stop_reason}


def _usage(
    context: ResponseContext,
    generation: Generation,
    cached_tokens: int,
    *,
    created: int | None = None,
) -> dict[str, Any]:
    """As vLLM's `UsageInfo`; a stream leaves out what is null."""
    details: dict[str, int | None] | None = None
    if context.prompt_tokens_details:
        details = {"cached_tokens": cached_tokens, "created_cache_tokens": created, "multimodal_tokens": None}
    counts = _counts(len(generation.prompt), generation.answer.tokens)
    return {**counts, "prompt_tokens_details": details, "completion_tokens_details": None}


def _counts(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
    }


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
