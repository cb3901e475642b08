"""The engines, and the part of a pool's spec that configures one."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mixserve.api.base import Duration, StrictModel


class EngineType(StrEnum):
    """An inference engine that has an adapter in `engines/`."""

    VLLM = "vllm"


class KVCacheFormat(StrEnum):
    """How keys and values are stored."""

    AUTO = "auto"
    FP8 = "fp8"


class Batching(StrictModel):
    """Continuous batching: how much one replica works on at once."""

    max_sequences: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Most requests in one batch; unset: the engine's own default for the GPU."""
    max_batched_tokens: Annotated[int, Field(ge=1, le=1048576)] | None = None
    """Most tokens (prefill and decode) in one step; unset: the engine's own default for the GPU."""


class KVCache(StrictModel):
    """The memory for keys and values."""

    format: KVCacheFormat = KVCacheFormat.AUTO
    """auto keeps the model's own precision; fp8 halves the memory per token."""
    memory_utilization_percent: Annotated[int, Field(ge=10, le=99)] = 92
    """Share of the GPU's memory that the engine may take, weights included."""


class Engine(StrictModel):
    """Which engine serves the pool, and how."""

    type: EngineType = EngineType.VLLM
    """The engine."""
    version: Annotated[str, Field(max_length=32, pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] = "0.33.0"
    """The engine's version, in quotes; decides flags, metric names and the default image."""
    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S+$")] | None = None
    """Container image instead of the engine's own for the version, for example from a private registry."""
    max_model_len: Annotated[int, Field(ge=128, le=16777216)] | None = None
    """Longest context in tokens (prompt and answer); unset: what the model allows."""
    prefix_caching: bool = True
    """Keep the keys and values of finished prompts for requests that begin with the same text."""
    batching: Batching = Batching()
    """Limits of continuous batching."""
    kv_cache: KVCache = KVCache()
    """The memory for keys and values."""
    args: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=1024, pattern="^--[a-z]")], ...], Field(max_length=64)
    ] = ()
    """More arguments for the engine, each as --flag or --flag=value. Flags that other fields own are refused."""
    startup_timeout: Duration = timedelta(minutes=30)
    """How long a replica may take to download, load and warm up before it is restarted; at most 24h."""
