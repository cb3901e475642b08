"""What the rest of Mixserve may ask of an engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mixserve.api.engine import Engine
from mixserve.api.quantization import QuantizationEngine


@dataclass(frozen=True)
class Launch:
    """Everything that decides an engine's command line.

    Attributes:
        engine: the pool's engine section.
        model: what the engine loads: a Hugging Face id or a path inside the container.
        revision: commit of the Hugging Face repository, or None for a path.
        served_names: model names that the engine answers for, the first one labels its metrics.
        quantization: the row of the format for this engine.
        tensor_parallel: GPUs of one replica.
        shutdown_timeout_s: how long the engine may finish requests after SIGTERM.
    """

    engine: Engine
    model: str
    revision: str | None
    served_names: tuple[str, ...]
    quantization: QuantizationEngine
    tensor_parallel: int
    shutdown_timeout_s: int


@dataclass(frozen=True)
class MetricNames:
    """Names of the gauges on the engine's metrics page; several per signal are alternatives, the newest first."""

    running: tuple[str, ...]
    waiting: tuple[str, ...]
    kv_cache_usage: tuple[str, ...]


@dataclass(frozen=True)
class StartupAdvice:
    """What the log of a failed start means and what to change, with the pool's field where there is one."""

    cause: str
    remedy: str


class EngineAdapter(Protocol):
    """One engine. Implementations hold data and pure functions only."""

    port: int
    """HTTP port of API, health and metrics."""
    metrics_path: str
    health_path: str
    """Answers 200 once the model is loaded and the engine lives."""
    supported_versions: tuple[str, ...]
    """The "major.minor" lines that the tables are about, oldest first."""
    owned_flags: Mapping[str, str]
    """Flags that fields of the pool own (without --no- and value), to the field to use instead."""

    def image(self, version: str) -> str:
        """The engine's own container image for a version."""
        ...

    def command(self, launch: Launch) -> tuple[str, ...]:
        """The container's command and arguments: what a process would be started with."""
        ...

    def environment(self, launch: Launch) -> Mapping[str, str]:
        """Environment variables besides the token; no secrets."""
        ...

    def metric_names(self, version: str) -> MetricNames:
        """Where the signals are on the metrics page of this version."""
        ...

    def advise(self, log: str) -> StartupAdvice | None:
        """What the end of a failed start's log means, or None if it is not a known error."""
        ...
