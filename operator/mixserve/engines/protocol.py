"""What the rest of Mixserve may ask of an engine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.engine import Engine
    from mixserve.api.quantization_engine import QuantizationEngine


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Everything that decides how an engine is started.

    Attributes:
        engine: the pool's engine section.
        model: what the engine loads: a Hugging Face id or a path inside the container.
        revision: commit of the Hugging Face repository, or None for a path.
        served_names: model names that the engine answers for, at least one; the first one labels its metrics.
        quantization: the row of the format for this engine.
        kv_cache: the row of the KV cache's format for this engine; None for the model's own precision.
        tensor_parallel: GPUs of one replica, >= 1.
        shutdown_timeout_s: how long the engine may finish requests after SIGTERM.
        cache_path: a writable directory inside the container, for downloads and compiled kernels.
    """

    engine: "Engine"
    model: str
    revision: str | None
    served_names: tuple[str, ...]
    quantization: "QuantizationEngine"
    kv_cache: "QuantizationEngine | None"
    tensor_parallel: int
    shutdown_timeout_s: int
    cache_path: str


@dataclass(frozen=True)
class MetricNames:
    """Names of the gauges on the engine's metrics page; several per signal are alternatives, the newest first."""

    running: tuple[str, ...]
    waiting: tuple[str, ...]
    kv_cache_usage: tuple[str, ...]


@dataclass(frozen=True)
class StartupAdvice:
    """What the log of a failed start means: stays the same from one failed start to the next.

    Attributes:
        cause: a clause, such as "the GPU's memory ran out".
        remedy: an instruction, with the pool's field where there is one.
    """

    cause: str
    remedy: str


class EngineAdapter(Protocol):
    """One engine. Implementations hold data and pure functions only."""

    port: int
    """HTTP port of API, health and metrics."""
    metrics_path: str
    health_path: str
    """Answers 200 once the model is loaded and the engine lives."""
    token_variable: str
    """The environment variable that carries the token for gated or private repositories."""
    supported_versions: tuple[str, ...]
    """The "major.minor" lines that the tables are about, oldest first."""
    format_flags: frozenset[str]
    """Flags that have an owner and that a QuantizationFormat of weights may give all the same, each written out with
    dashes."""
    kv_cache_flags: frozenset[str]
    """The same for QuantizationFormats of the KV cache."""

    def image(self, version: str) -> str:
        """The engine's own container image for a version."""
        ...

    def command(self, launch: Launch) -> tuple[str, ...]:
        """The container's command and arguments: what a process would be started with."""
        ...

    def environment(self, launch: Launch) -> "Mapping[str, str]":
        """Environment variables besides the token; no secrets."""
        ...

    def owner_of(self, argument: str) -> str | None:
        """What to use instead of a raw argument (--flag or --flag=value) that is not the user's to give.

        Returns:
            An instruction such as "use spec.engine.maxModelLen", or None for an argument that may be given.
        """
        ...

    def metric_names(self, version: str) -> MetricNames:
        """Where the signals are on the metrics page of this version, or of the nearest one that is known."""
        ...

    def default_max_sequences(self, *, memory_bytes: int, compute_capability: str) -> int:
        """Most requests in one batch where the pool does not say, by the memory of one GPU."""
        ...

    def default_max_batched_tokens(
        self,
        engine: "Engine",
        *,
        memory_bytes: int,
        compute_capability: str,
    ) -> int | None:
        """Most tokens of one step where the pool does not say, by the memory of one GPU.

        Returns:
            A number >= 1, or None where raw arguments of the pool make it another one.
        """
        ...

    def advise(self, log: str) -> StartupAdvice | None:
        """What the end of a failed start's log means, or None if it is not a known error."""
        ...
