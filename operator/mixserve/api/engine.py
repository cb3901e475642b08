"""The engines, and the part of a pool's spec that configures one."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from mixserve.api.base import CelRule, StrictModel
from mixserve.api.lists import ListMap
from mixserve.api.pod_inputs import Cache, ConfigMapKeyRef, EnvironmentVariable
from mixserve.api.scalars import LABEL_PATTERN, EngineArgument, PositiveDuration

SHORTEST_CONTEXT = 128
"""The least that maxModelLen takes: what is shorter is no way out where memory is short."""


class EngineType(StrEnum):
    """An inference engine that has an adapter in `engines/`."""

    VLLM = "vllm"
    TENSORRT_LLM = "tensorrt-llm"


class Task(StrEnum):
    """What a model is served for."""

    GENERATE = "Generate"
    EMBED = "Embed"


EngineVersion = Annotated[str, Field(max_length=32, pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
"""A version of an engine: major, minor and patch."""

KV_CACHE_AUTO = "auto"
"""The KV cache in the model's own precision."""

# A QuantizationFormat is called so behind "kv-", in 63 characters.
_LONGEST_KV_CACHE_FORMAT = 60


class Batching(StrictModel):
    """Limits of continuous batching: how much one replica works on at once."""

    max_sequences: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Most requests in one batch; more wait in the replica's queue. Unset: the engine's own default for the GPU."""
    max_batched_tokens: Annotated[int, Field(ge=1, le=1048576)] | None = None
    """Most tokens of one step, prefill and decode together. Larger serves prompts faster and answers less evenly.
    Unset: the engine's own default for the GPU."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="!has(self.maxSequences) || !has(self.maxBatchedTokens) || self.maxBatchedTokens >= self.maxSequences",
            message="maxBatchedTokens must not be less than maxSequences: each request of a batch takes a token a step",
            holds=lambda b: (
                b.max_sequences is None or b.max_batched_tokens is None or b.max_batched_tokens >= b.max_sequences
            ),
        ),
    )


class KVCache(StrictModel):
    """The memory for keys and values, which bounds how many requests a replica can hold."""

    format: Annotated[str, Field(min_length=1, max_length=_LONGEST_KV_CACHE_FORMAT, pattern=LABEL_PATTERN)] = (
        KV_CACHE_AUTO
    )
    """How keys and values are stored: auto keeps the model's own precision; other values name a QuantizationFormat
    without its kv-, such as fp8, which halves the memory per token, or nvfp4."""
    memory_utilization_percent: Annotated[int, Field(ge=10, le=99)] = 92
    """Share of a GPU's memory that the engine may take, in percent. What weights and the engine's own needs leave of it
    becomes KV cache. The same for all engines: for TensorRT-LLM, which counts what is free after the weights, it is
    converted with the model's numbers."""


class Engine(StrictModel):
    """Which engine serves the pool, and how."""

    type: EngineType = EngineType.VLLM
    """The inference engine."""
    version: EngineVersion = "0.33.0"
    """The engine's version, in quotes. It decides flags, metric names and the container image. The default is vLLM's;
    TensorRT-LLM needs one, such as "1.2.1"."""
    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")] | None = (
        None
    )
    """Container image with this version of the engine, for example from a private registry; it needs python3, which
    probes and hooks run. Unset: the engine's own public image."""
    max_model_len: Annotated[int, Field(ge=SHORTEST_CONTEXT, le=16777216)] | None = None
    """Longest context of a request in tokens, prompt and answer together. Unset: the longest that the model allows,
    which may need more memory than there is."""
    prefix_caching: bool = True
    """Whether to keep keys and values of finished requests for later ones that begin with the same text."""
    batching: Batching = Batching()
    kv_cache: KVCache = KVCache()
    chat_template: ConfigMapKeyRef | None = None
    """Jinja template that makes a prompt of a conversation, for models without one of their own, such as base models.
    Replicas read it when they start; after a change put it under another name or key, and they are replaced. Unset:
    the model's own."""
    cache: Cache | None = None
    """Where downloads and compiled kernels are kept, so that the next replica starts sooner. Unset: in each pod, and
    gone with it."""
    args: Annotated[tuple[EngineArgument, ...], Field(max_length=64)] = ()
    """More arguments for the engine, each as --flag or --flag=value. A flag that a field of the pool stands for is
    refused, with the name of the field."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64), ListMap("name")] = ()
    """More environment variables for the engine, for example NCCL_DEBUG. One that a field of the pool or the operator
    stands for is refused, with what to use instead."""
    startup_timeout: PositiveDuration = timedelta(minutes=30)
    """How long a replica may take to download, load and make its first token before it is restarted, from 1s to
    24h."""
