"""Requests to /v1/embeddings, and their answers: made-up vectors of length 1, the same ones for the same text."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.engine.openai_requests import answered_model
from mixserve_devcluster.engine.request_errors import RequestError
from mixserve_devcluster.engine.tokenizer import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve_devcluster.engine.openai_requests import AnsweredModel, Limits
    from mixserve_devcluster.engine.openai_responses import ResponseContext

DIMENSIONS = 1024
"""Of every vector: as many as those of the usual embedding models of half a billion parameters."""

_ENCODINGS = ("float", "base64")
# vLLM itself has no limit; OpenAI's is this.
_MOST_TEXTS = 2048


@dataclass(frozen=True, kw_only=True)
class EmbeddingRequest:
    """A request, read and checked.

    Attributes:
        prompts: the tokens of each text, none of them empty.
        encoding: "float" or "base64".
    """

    model: AnsweredModel
    prompts: tuple[tuple[int, ...], ...]
    encoding: str


def read(body: dict[str, Any], limits: Limits) -> EmbeddingRequest:
    """Read a request.

    Raises:
        RequestError: a field is wrong, a text is too long, or there is no such model.
    """
    model = answered_model(body, limits)
    encoding = body.get("encoding_format") or "float"
    if encoding not in _ENCODINGS:
        raise RequestError(f"encoding_format must be float or base64, got {encoding!r}.", param="encoding_format")
    if body.get("dimensions") is not None:
        message = "The simulated model does not support Matryoshka embeddings; dimensions must be unset"
        raise RequestError(f"{message} (received dimensions={body['dimensions']}).", param="dimensions")
    prompts = _prompts(body.get("input"))
    longest = max(map(len, prompts))
    if longest > limits.max_model_len:
        raise RequestError(
            f"This model's maximum context length is {limits.max_model_len} tokens. However, your prompt contains "
            f"{longest} input tokens. Please reduce the length of the input prompt. (parameter=input_tokens, "
            f"value={longest})",
            param="input_tokens",
        )
    return EmbeddingRequest(model=model, prompts=prompts, encoding=str(encoding))


def answer(context: ResponseContext, request: EmbeddingRequest) -> dict[str, Any]:
    """The answer in OpenAI's form, field by field as vLLM writes it."""
    tokens = sum(map(len, request.prompts))
    data = [
        {"index": index, "object": "embedding", "embedding": _encoded(vector(prompt), request.encoding)}
        for index, prompt in enumerate(request.prompts)
    ]
    return {
        "id": context.response_id,
        "object": "list",
        "created": context.created,
        "model": context.model,
        "data": data,
        "usage": {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
    }


def vector(prompt: Sequence[int]) -> list[float]:
    """The vector of a text: of length 1, and without a meaning."""
    seed = ",".join(map(str, prompt)).encode()
    numbers = struct.unpack(f"<{DIMENSIONS}h", hashlib.shake_128(seed).digest(2 * DIMENSIONS))
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def _encoded(numbers: list[float], encoding: str) -> list[float] | str:
    if encoding == "float":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _prompts(given: Any) -> tuple[tuple[int, ...], ...]:
    several = isinstance(given, list) and given and isinstance(given[0], str | list)
    texts = given if several else [given]
    if len(texts) > _MOST_TEXTS:
        raise RequestError(f"input must not have more than {_MOST_TEXTS} texts, got {len(texts)}.", param="input")
    return tuple(_prompt(text) for text in texts)


def _prompt(text: Any) -> tuple[int, ...]:
    if isinstance(text, str) and text:
        return tuple(encode(text))
    if isinstance(text, list) and text and all(type(token) is int for token in text):
        return tuple(text)
    raise RequestError(
        "input must be a text, a list of token ids, or a list of either, none of them empty", param="input"
    )
