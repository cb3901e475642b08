from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest

from mixserve_devcluster.engine import embeddings
from mixserve_devcluster.engine.openai_requests import AnsweredModel, Limits
from mixserve_devcluster.engine.request_errors import RequestError
from support.simulated_server import served

LIMITS = Limits(served_names=("first",), max_model_len=100)
POOLING = ("--runner", "pooling")


def read(**body: Any) -> embeddings.EmbeddingRequest:
    return embeddings.read({"input": "hello", **body}, LIMITS)


@pytest.mark.parametrize(
    ("given", "lengths"),
    [("hello", [2]), (["hello", "a" * 40], [2, 10]), ([1, 2, 3], [3]), ([[1, 2], [3]], [2, 1])],
)
def test_input_is_a_text_or_tokens_or_several(given: Any, lengths: list[int]) -> None:
    assert [len(prompt) for prompt in read(input=given).prompts] == lengths


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        *(
            ({"input": wrong}, "input", "input must be a text")
            for wrong in (None, "", [], [""], [[]], [True], ["a", 1])
        ),
        ({"input": ["a"] * 2049}, "input", "must not have more than 2048 texts, got 2049"),
        ({"encoding_format": "bytes"}, "encoding_format", "must be float or base64, got 'bytes'"),
        ({"dimensions": 64}, "dimensions", "dimensions must be unset"),
        ({"input": "a" * 401}, "input_tokens", "your prompt contains 101 input tokens"),
        ({"model": "other"}, "model", "The model `other` does not exist. Valid aliases: first."),
    ],
)
def test_what_is_wrong_is_refused(body: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as error:
        read(**body)
    assert error.value.param == param


def test_a_text_may_fill_the_context() -> None:
    assert len(read(input="a" * 400).prompts[0]) == 100
    assert read().model == AnsweredModel("first")


def test_a_vector_has_length_1_and_is_the_texts_own() -> None:
    vector = embeddings.vector([1, 2])

    assert len(vector) == embeddings.DIMENSIONS
    assert math.isclose(sum(number * number for number in vector), 1)
    assert vector == embeddings.vector((1, 2)) != embeddings.vector([1, 3])


async def test_a_pooling_engine_answers_each_text_with_its_vector() -> None:
    async with served(*POOLING) as engine:
        status, answer = await engine.post("/v1/embeddings", input=["hello world!", "again"], model="some/model")
        generated = await engine.sample("generation_tokens_total")
        done = await engine.sample('request_success_total{engine="0",finished_reason="stop"')
        prompted = await engine.sample("prompt_tokens_total")

    assert (status, answer["object"], answer["model"]) == (200, "list", "some/model")
    assert answer["id"].startswith("embd-")
    assert [one["index"] for one in answer["data"]] == [0, 1]
    assert answer["data"][0]["embedding"] == embeddings.vector(embeddings.encode("hello world!"))
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] == 5
    assert (prompted, generated, done) == (5, 0, 2)


async def test_base64_is_the_same_as_little_endian_floats() -> None:
    async with served(*POOLING) as engine:
        _, floats = await engine.post("/v1/embeddings", input=[1, 2])
        _, packed = await engine.post("/v1/embeddings", input=[1, 2], encoding_format="base64")

    decoded = struct.unpack(f"<{embeddings.DIMENSIONS}f", base64.b64decode(packed["data"][0]["embedding"]))
    assert decoded == pytest.approx(floats["data"][0]["embedding"])


async def test_a_text_as_long_as_the_context_is_answered() -> None:
    async with served(*POOLING) as engine:
        status, answer = await engine.post("/v1/embeddings", input=[7] * 2048)

    assert (status, answer["usage"]["prompt_tokens"]) == (200, 2048)


async def test_a_pooling_engine_makes_no_texts_and_the_others_no_vectors() -> None:
    async with served(*POOLING) as engine:
        for path in ("/v1/completions", "/v1/chat/completions"):
            status, answer = await engine.post(path, prompt="a")
            assert (status, answer) == (404, {"detail": "Not Found"})
    async with served() as engine:
        assert (await engine.post("/v1/embeddings", input="a"))[0] == 404


async def test_a_draining_engine_takes_no_new_texts() -> None:
    async with served(*POOLING) as engine:
        engine.server.generations.draining = True
        assert (await engine.post("/v1/embeddings", input="a"))[0] == 503
