"""What the rest of Mixserve may ask of an engine."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from mixserve.api.engine import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.engine import Engine
    from mixserve.api.quantization_engine import QuantizationEngine
    from mixserve.api.speculative_pair import SpeculativePairSpec


@dataclass(frozen=True, kw_only=True)
class LaunchedPair:
    """What proposes tokens to the model.

    Attributes:
        spec: of the SpeculativePair.
        draft: what is loaded beside the model: a Hugging Face id or a path inside the container; None for methods
            without a draft.
        draft_revision: commit of the draft's Hugging Face repository, or None.
        draft_gpus: GPUs that share the draft, >= 1.
    """

    spec: "SpeculativePairSpec"
    draft: str | None
    draft_revision: str | None
    draft_gpus: int


@dataclass(frozen=True, kw_only=True)
class LaunchedAdapter:
    """A LoRA adapter that is served beside the model.

    Attributes:
        name: the model name that it answers for.
        path: the directory of its files inside the container.
        rank: its rank, >= 1.
    """

    name: str
    path: str
    rank: int


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
        options_path: where the engine finds what `options_file` says, inside the container.
        occupied_share: share of the memory of its GPUs that weights and the engine's own needs take, from 0 to below 1;
            None where the model's numbers are not known.
        chat_template_path: where the pool's chat template is inside the container; None for the model's own.
        peer_to_peer: whether the GPUs of the replica reach each other's memory.
        pair: what proposes tokens; None without speculative decoding.
        task: what the model is served for.
        adapters: LoRA adapters beside the model.
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
    options_path: str
    occupied_share: float | None
    chat_template_path: str | None = None
    peer_to_peer: bool = True
    pair: LaunchedPair | None = None
    task: Task = Task.GENERATE
    adapters: tuple[LaunchedAdapter, ...] = ()

    @property
    def through_host_memory(self) -> bool:
        """Whether the replica has several GPUs that can't reach each other."""
        return self.tensor_parallel > 1 and not self.peer_to_peer

    @property
    def downloads(self) -> bool:
        """Whether the engine fetches files from the hub; a checkpoint in a directory is complete."""
        return self.revision is not None or (self.pair is not None and self.pair.draft_revision is not None)


@dataclass(frozen=True)
class SpeculationNames:
    """Names of the counters of speculative decoding; an engine that does not speculate has none of them on its page.

    Attributes:
        drafts: how often tokens were proposed for a request; None where the engine does not count that.
        proposed: tokens that were proposed.
        kept: tokens of these that the model kept.
    """

    drafts: str | None
    proposed: str
    kept: str


@dataclass(frozen=True)
class MetricNames:
    """Names of the gauges on the engine's metrics page; several per signal are alternatives, the newest first.

    `speculation` names counters that need not be there; None for a page that never has them.
    """

    running: tuple[str, ...]
    waiting: tuple[str, ...]
    kv_cache_usage: tuple[str, ...]
    speculation: SpeculationNames | None = None


class MetricsFormat(Enum):
    """How a page is written."""

    PROMETHEUS = auto()
    """Prometheus' text format."""
    ITERATION_STATISTICS = auto()
    """TensorRT-LLM's JSON list with an object for each iteration since the last read, the newest last. Reading takes
    them away, so there may be one reader only; an empty list means that there was no iteration."""


@dataclass(frozen=True, kw_only=True)
class MetricsPage:
    """Where the signals are, and how to read them.

    Attributes:
        path: of the page at the engine's port.
        names: where the signals are on it.
        format: how it is written.
        timeout_s: how long a healthy engine may take to answer, > 0.
    """

    path: str
    names: MetricNames
    format: MetricsFormat = MetricsFormat.PROMETHEUS
    # An engine on a local network answers in milliseconds; one that needs longer has no news worth waiting for.
    timeout_s: float = 2.0


@dataclass(frozen=True)
class StartupAdvice:
    """What the log of a failed start means: stays the same from one failed start to the next.

    Attributes:
        cause: a clause, such as "the GPU's memory ran out".
        remedy: an instruction, with the pool's field where there is one.
    """

    cause: str
    remedy: str


@dataclass(frozen=True)
class Caveat:
    """Something that an engine's version does not do.

    Attributes:
        cause: a clause, such as "it answers for every model name".
        remedy: an instruction.
    """

    cause: str
    remedy: str


@dataclass(frozen=True)
class Obstacle:
    """Why an engine does not run a SpeculativePair.

    Attributes:
        field_path: in the pair, such as spec.method; in the pool for what begins with spec.engine.
        cause: a clause, such as "TensorRT-LLM has no suffix decoding".
        remedy: an instruction.
    """

    field_path: str
    cause: str
    remedy: str


class EngineAdapter(Protocol):
    """One engine. Implementations hold data and pure functions only."""

    port: int
    """HTTP port of API, health and metrics."""
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
    kv_block_tokens: int
    """Tokens of a block of the KV cache."""
    tasks: frozenset[Task]
    """What it can be started for."""
    serves_adapters: bool
    """Whether it answers for LoRA adapters under model names of their own."""

    def image(self, version: str) -> str:
        """The engine's own container image for a version."""
        ...

    def command(self, launch: Launch) -> tuple[str, ...]:
        """The container's command and arguments: what a process would be started with."""
        ...

    def options_file(self, launch: Launch) -> str | None:
        """The content of the file at `launch.options_path`; None for an engine that takes all on its command line."""
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

    def owner_of_variable(self, name: str) -> str | None:
        """What to use instead of an environment variable that is not the user's to give.

        Returns:
            An instruction, or None for a variable that may be given; it then wins over the engine's own.
        """
        ...

    def listed_names(self, launch: Launch) -> tuple[str, ...]:
        """The model names that the engine lists at /v1/models; none where it lists one of its own choice."""
        ...

    def takes_chat_template(self, version: str) -> bool:
        """Whether this version, or the nearest one that is known, takes a chat template from a file."""
        ...

    def metrics_page(self, version: str) -> MetricsPage:
        """Where the signals of this version are, or of the nearest one that is known."""
        ...

    def caveats(self, version: str) -> "tuple[Caveat, ...]":
        """What users of this version, or of the nearest one that is known, should know before they choose it."""
        ...

    def speculation_obstacles(
        self,
        pair: "SpeculativePairSpec",
        *,
        engine: "Engine",
        tensor_parallel: int,
        adapters: bool,
    ) -> "tuple[Obstacle, ...]":
        """Why the pool's version of the engine, or the nearest one that is known, does not run a SpeculativePair.

        Args:
            pair: the pair; what the files of model and draft say is not the engine's to check.
            engine: the pool's engine section.
            tensor_parallel: GPUs of one replica, >= 1.
            adapters: whether the pool has LoRA adapters.
        """
        ...

    def speculation_caveats(self, pair: "SpeculativePairSpec", *, engine: "Engine") -> "tuple[Caveat, ...]":
        """What users of a pair that the engine runs should know: what else is different with it."""
        ...

    def refused_checkpoint(self, quant_method: str) -> str | None:
        """What to do instead of serving a checkpoint that says it is quantized so (see `Checkpoint.quant_methods`).

        Returns:
            An instruction, or None for a checkpoint that the engine reads, or may read.
        """
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
