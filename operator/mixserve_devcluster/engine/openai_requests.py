"""Reading requests of OpenAI's API, with vLLM's additions; what is wrong becomes vLLM's kind of error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.engine import tool_calls
from mixserve_devcluster.engine.answers import Answer, make_answer
from mixserve_devcluster.engine.request_errors import RequestError
from mixserve_devcluster.engine.tokenizer import encode, encode_chat

if TYPE_CHECKING:
    from mixserve_devcluster.engine.tool_calls import Tool, ToolParsing

# vLLM's default for /v1/completions; a chat's is what is left of the context.
_COMPLETION_MAX_TOKENS = 16
# Of all that a real engine offers, what no made-up answer can have.
_UNSUPPORTED = ("logprobs", "top_logprobs", "prompt_logprobs", "use_beam_search", "echo", "suffix")

# They change no made-up word, but a real engine takes nothing but numbers for them.
_NUMBERS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
# vLLM's own bounds: a seed of 64 bits, and -1 for all tokens.
_INTEGERS = {"seed": -(2**63), "top_k": -1}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What requests are measured against.

    Attributes:
        served_names: models that the server answers for; empty: whatever they are called, as TensorRT-LLM does.
        max_model_len: tokens of prompt and answer together.
        force_include_usage: put the token counts into every part of every stream, and end it with them.
        adapters: names of LoRA adapters that it answers for as well.
        tools: whether calls of tools can be read.
    """

    served_names: tuple[str, ...]
    max_model_len: int
    force_include_usage: bool = False
    adapters: frozenset[str] = frozenset()
    tools: ToolParsing = tool_calls.ANY


@dataclass(frozen=True)
class AnsweredModel:
    """Which model answers.

    Attributes:
        name: as the answer calls it.
        adapter: the LoRA adapter; None for the model itself.
    """

    name: str
    adapter: str | None = None


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A request, read and checked.

    Attributes:
        model: which model answers.
        prompt: its tokens.
        max_tokens: the limit that applies.
        answer: what the engine will say.
        stream: answer in server-sent events.
        include_usage: end the stream with the token counts.
        continuous_usage: send token counts with every part.
        tool: the answer is a call of this tool, and its text the arguments; None for plain text.
    """

    model: AnsweredModel
    prompt: list[int]
    max_tokens: int
    answer: Answer
    stream: bool
    include_usage: bool
    continuous_usage: bool
    tool: Tool | None = None


def read_body(content: bytes) -> dict[str, Any]:
    """Decode a request's JSON object."""
    try:
        body = json.loads(content)
    except ValueError as error:
        raise RequestError(f"The body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise RequestError("The body must be a JSON object")
    return body


def read_chat(body: dict[str, Any], limits: Limits) -> Generation:
    """Read a request to /v1/chat/completions."""
    model = answered_model(body, limits)
    turns = _turns(body)
    tool, tools = tool_calls.read(body, limits.tools), body.get("tools")
    prompt = encode_chat([("tools", json.dumps(tools)), *turns] if tools else turns)
    max_tokens = _integer(body, "max_completion_tokens", least=1)
    if max_tokens is None:
        max_tokens = _integer(body, "max_tokens", least=1)
    return _generation(body, prompt, max_tokens, limits=limits, model=model, tool=tool)


def read_completion(body: dict[str, Any], limits: Limits) -> Generation:
    """Read a request to /v1/completions."""
    model = answered_model(body, limits)
    max_tokens = _integer(body, "max_tokens", least=1)
    if max_tokens is None:
        max_tokens = _COMPLETION_MAX_TOKENS
    return _generation(body, _prompt(body), max_tokens, limits=limits, model=model)


def answered_model(body: dict[str, Any], limits: Limits) -> AnsweredModel:
    """Which model a request means: for vLLM none and an empty one mean its own, TensorRT-LLM takes any name.

    Raises:
        RequestError: there is no such model.
    """
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise RequestError(f"model must be a text, got {model!r}.", param="model")
    if not limits.served_names:
        if model is None:
            raise RequestError("model: Field required", param="model")
        return AnsweredModel(model)
    if model in limits.adapters:
        return AnsweredModel(model, adapter=model)
    if model and model not in limits.served_names:
        message = f"The model `{model}` does not exist. Valid aliases: {', '.join(limits.served_names)}."
        raise RequestError(message, param="model", status=404, kind="NotFoundError")
    return AnsweredModel(limits.served_names[0])


def _generation(
    body: dict[str, Any],
    prompt: list[int],
    max_tokens: int | None,
    *,
    limits: Limits,
    model: AnsweredModel,
    tool: Tool | None = None,
) -> Generation:
    _check_supported(body)
    _check_sampling(body)
    limit = _limit(prompt, max_tokens, limits.max_model_len)
    stream, options = _boolean(body, "stream"), _stream_options(body)
    include_usage = limits.force_include_usage or _boolean(options, "include_usage")
    return Generation(
        model=model,
        prompt=prompt,
        max_tokens=limit,
        answer=_answer(body, prompt, limit) if tool is None else tool_calls.call(tool, max_tokens=limit),
        stream=stream,
        include_usage=include_usage,
        continuous_usage=limits.force_include_usage or (include_usage and _boolean(options, "continuous_usage_stats")),
        tool=tool,
    )


def _answer(body: dict[str, Any], prompt: list[int], limit: int) -> Answer:
    min_tokens = _integer(body, "min_tokens", least=0) or 0
    if min_tokens > limit:
        message = f"min_tokens must be less than or equal to max_tokens={limit}, got {min_tokens}."
        raise RequestError(message, param="min_tokens")
    return make_answer(
        hash(tuple(prompt)),
        max_tokens=limit,
        min_tokens=min_tokens,
        ignore_eos=_boolean(body, "ignore_eos"),
        stop=_stop(body),
    )


def _check_supported(body: dict[str, Any]) -> None:
    count = _integer(body, "n", least=1)
    if count not in {None, 1}:
        raise RequestError(f"The simulated engine gives one answer: n must be 1, got {count}.", param="n")
    for name in _UNSUPPORTED:
        # 0 is a number of log probabilities, too.
        if body.get(name) is not None and body[name] is not False:
            raise RequestError(f"The simulated engine does not support {name}.", param=name)


def _check_sampling(body: dict[str, Any]) -> None:
    for name in _NUMBERS:
        value = body.get(name)
        if value is not None and type(value) not in {int, float}:
            raise RequestError(f"{name} must be a number, got {value!r}.", param=name)
    for name, least in _INTEGERS.items():
        _integer(body, name, least=least)


def _limit(prompt: list[int], max_tokens: int | None, max_model_len: int) -> int:
    limit = max(max_model_len - len(prompt), 1) if max_tokens is None else max_tokens
    if len(prompt) + limit > max_model_len:
        raise RequestError(
            f"This model's maximum context length is {max_model_len} tokens. However, you requested {limit} output "
            f"tokens and your prompt contains at least {len(prompt)} input tokens, for a total of at least "
            f"{len(prompt) + limit} tokens. Please reduce the length of the input prompt or the number of requested "
            f"output tokens. (parameter=input_tokens, value={len(prompt)})",
            param="input_tokens",
        )
    return limit


def _turns(body: dict[str, Any]) -> list[tuple[str, str]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a list with at least one message", param="messages")
    return [_turn(message) for message in messages]


def _turn(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestError("Every message must be an object with a role", param="messages")
    content = message.get("content")
    if content is None:
        return message["role"], ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return message["role"], "".join(_part(part) for part in parts)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise RequestError("The simulated engine takes messages of text only", param="messages")
    return text


def _prompt(body: dict[str, Any]) -> list[int]:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str | list):
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt:
        return encode(prompt)
    if isinstance(prompt, list) and prompt and all(type(token) is int for token in prompt):
        return prompt
    raise RequestError(
        "prompt must be a text or a list of token ids, not empty; the simulated engine takes one prompt per request",
        param="prompt",
    )


def _stop(body: dict[str, Any]) -> tuple[str, ...]:
    stop = body.get("stop")
    if stop is None:
        return ()
    strings = [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, list) or not all(isinstance(string, str) and string for string in strings):
        raise RequestError("stop must be a text or a list of texts, none of them empty", param="stop")
    return tuple(strings)


def _stream_options(body: dict[str, Any]) -> dict[str, Any]:
    options = body.get("stream_options")
    if options is None:
        return {}
    if not body.get("stream"):
        raise RequestError("Stream options can only be defined when `stream=True`.", param="stream_options")
    if not isinstance(options, dict):
        raise RequestError("stream_options must be an object", param="stream_options")
    return options


def _integer(body: dict[str, Any], name: str, *, least: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise RequestError(f"{name} must be an integer, got {value!r}.", param=name)
    if value < least:
        raise RequestError(f"{name} must be at least {least}, got {value}.", param=name)
    return value


def _boolean(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, got {value!r}.", param=name)
    return bool(value)
