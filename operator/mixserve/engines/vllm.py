"""vLLM: command line, environment, metric names. Read from the packages 0.30.0, 0.31.0, 0.32.0 and 0.33.0.

What belongs to other fields of the pool is in `vllm_flags`, what start-up errors mean in `vllm_errors`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.api.engine import Task
from mixserve.api.scalars import GIB
from mixserve.engines import vllm_speculation
from mixserve.engines.protocol import MetricNames, MetricsPage, SpeculationNames
from mixserve.engines.variables import hub_variables, nccl_variables, owner_of_variable
from mixserve.engines.versions import nearest_line
from mixserve.engines.vllm_adapters import adapter_flags
from mixserve.engines.vllm_errors import startup_advice
from mixserve.engines.vllm_flags import may_stand_for, owner_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.engine import Engine
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.engines.protocol import Caveat, Launch, Obstacle, StartupAdvice

_GAUGES = MetricsPage(
    path="/metrics",
    names=MetricNames(
        running=("vllm:num_requests_running",),
        waiting=("vllm:num_requests_waiting",),
        # The second name was the first one's until about 0.11: images of one's own may be older than they say.
        kv_cache_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        speculation=SpeculationNames(
            drafts="vllm:spec_decode_num_drafts_total",
            proposed="vllm:spec_decode_num_draft_tokens_total",
            kept="vllm:spec_decode_num_accepted_tokens_total",
        ),
    ),
)
# One table per line, oldest first. All that is written and read here is the same in the four: 0.31 only adds names for
# flags (see vllm_flags), and what formats need is in their QuantizationFormat, with a minimumVersion where it matters.
_METRICS_PAGES = MappingProxyType({"0.30": _GAUGES, "0.31": _GAUGES, "0.32": _GAUGES, "0.33": _GAUGES})

# vLLM gives up on its own engine process after this variable's time (600 s by default). The startup probe should be the
# one to end a slow start, because it says so in an event.
_READY_TIMEOUT_MARGIN_S = 60

_OWNED_VARIABLES = MappingProxyType(
    {
        "VLLM_ENGINE_READY_TIMEOUT_S": "use spec.engine.startupTimeout",
        "VLLM_CACHE_ROOT": "use spec.engine.cache; the operator says where it is",
        "VLLM_PORT": "leave it out: the engine's own processes find each other without it",
    }
)

_SLOW_FOR_THEIR_MEMORY = frozenset({"8.0", "12.1"})

# Both make `max_num_batched_tokens` larger where it is not given: the one doubles it, the other makes it the longest
# context's.
_FLAGS_OF_BATCHED_TOKENS = ("performance-mode", "enable-chunked-prefill")

# So that whoever stands between clients and engine knows what each request took, without adding to what the client
# asked for: token counts in every part of a stream, since a client may leave before the end, and in the end what the
# prefix cache supplied. All four versions mean the same by them (`should_include_usage`).
_ACCOUNTING_FLAGS = ("--enable-force-include-usage", "--enable-prompt-tokens-details")

_USE_LLM_COMPRESSOR = "use a checkpoint that AutoAWQ or LLM Compressor has made"


class VLLMAdapter:
    """vLLM 0.30 to 0.33; other versions are treated as the nearest of them."""

    port = 8000
    health_path = "/health"
    token_variable = "HF_TOKEN"  # noqa: S105 - the name of a variable
    supported_versions = tuple(_METRICS_PAGES)
    format_flags = frozenset({"--quantization"})
    kv_cache_flags = frozenset({"--kv-cache-dtype"})
    kv_block_tokens = 16
    tasks = frozenset(Task)
    serves_adapters = True

    def image(self, version: str) -> str:
        """The project's own image."""
        return f"vllm/vllm-openai:v{version}"

    def command(self, launch: Launch) -> tuple[str, ...]:
        """`vllm serve` with one word per flag and value; raw arguments come last."""
        return (
            *("vllm", "serve", launch.model),
            *("--host", "0.0.0.0"),  # noqa: S104 - the pod's network is its own; kubectl port-forward needs loopback
            *("--port", str(self.port)),
            *_model_flags(launch),
            *_task_flags(launch.task),
            *adapter_flags(launch.adapters),
            *_batching_flags(launch.engine),
            *_memory_flags(launch),
            *_optional_flags(launch),
            *self._speculation_flags(launch),
            *("--shutdown-timeout", str(launch.shutdown_timeout_s)),
            *launch.quantization.arguments,
            *launch.engine.args,
        )

    def options_file(self, _launch: Launch) -> str | None:
        """All options are on the command line."""
        return None

    def environment(self, launch: Launch) -> Mapping[str, str]:
        """Time to start, no usage statistics, and caches in the writable directory."""
        ready_timeout_s = int(launch.engine.startup_timeout.total_seconds()) + _READY_TIMEOUT_MARGIN_S
        variables = {
            "VLLM_ENGINE_READY_TIMEOUT_S": str(ready_timeout_s),
            "VLLM_NO_USAGE_STATS": "1",
        }
        caches = {"VLLM_CACHE_ROOT": f"{launch.cache_path}/vllm"}
        return {**variables, **hub_variables(launch, caches), **nccl_variables(launch)}

    def owner_of(self, argument: str) -> str | None:
        """What to use instead of `argument`, also where it is abbreviated or negated."""
        return owner_of(argument)

    def owner_of_variable(self, name: str) -> str | None:
        """What to use instead of the variable."""
        return owner_of_variable(name, _OWNED_VARIABLES)

    def listed_names(self, launch: Launch) -> tuple[str, ...]:
        """All served names, and those of the adapters."""
        return (*launch.served_names, *(adapter.name for adapter in launch.adapters))

    def takes_chat_template(self, _version: str) -> bool:
        """All four versions do."""
        return True

    def metrics_page(self, version: str) -> MetricsPage:
        """The gauges; the same in all four versions."""
        return _METRICS_PAGES[nearest_line(version, self.supported_versions)]

    def caveats(self, _version: str) -> tuple[Caveat, ...]:
        """None."""
        return ()

    def speculation_obstacles(
        self,
        pair: SpeculativePairSpec,
        *,
        engine: Engine,
        tensor_parallel: int,
        adapters: bool,
    ) -> tuple[Obstacle, ...]:
        """What vLLM's configuration classes and workers raise on."""
        line = nearest_line(engine.version, self.supported_versions)
        return tuple(
            vllm_speculation.obstacles(
                pair, line=line, engine=engine, tensor_parallel=tensor_parallel, adapters=adapters
            )
        )

    def speculation_caveats(self, _pair: SpeculativePairSpec, *, engine: Engine) -> tuple[Caveat, ...]:  # noqa: ARG002 - the same for all
        """Parameters of requests that are refused."""
        return vllm_speculation.caveats()

    def refused_checkpoint(self, quant_method: str) -> str | None:
        """ModelOpt's own INT4, which vLLM's `modelopt` does not read."""
        return _USE_LLM_COMPRESSOR if quant_method == "modelopt:w4a16" else None

    def default_max_sequences(self, *, memory_bytes: int, compute_capability: str) -> int:
        """The API server's `max_num_seqs`."""
        return _batch_defaults(memory_bytes, compute_capability)[0]

    def default_max_batched_tokens(
        self,
        engine: Engine,
        *,
        memory_bytes: int,
        compute_capability: str,
    ) -> int | None:
        """The API server's `max_num_batched_tokens`; vLLM does not raise it to a larger `max_num_seqs`."""
        if any(may_stand_for(argument, flag) for argument in engine.args for flag in _FLAGS_OF_BATCHED_TOKENS):
            return None
        return _batch_defaults(memory_bytes, compute_capability)[1]

    def advise(self, log: str) -> StartupAdvice | None:
        """What a known start-up error means."""
        return startup_advice(log)

    def _speculation_flags(self, launch: Launch) -> tuple[str, ...]:
        if launch.pair is None:
            return ()
        line = nearest_line(launch.engine.version, self.supported_versions)
        return ("--speculative-config", vllm_speculation.speculative_config(launch.pair, line=line))


def _batch_defaults(memory_bytes: int, compute_capability: str) -> tuple[int, int]:
    """Requests and tokens of one step, from `EngineArgs.get_batch_defaults`.

    vLLM asks for "a100" in the device's name; 8.0 is the A100's compute capability (and that of the smaller A30).
    Since 0.33 it also excludes 12.1, the GB10; before, its defaults there are larger than these.
    """
    if memory_bytes >= 160 * GIB:
        return 1024, 16384
    if memory_bytes >= 70 * GIB and compute_capability not in _SLOW_FOR_THEIR_MEMORY:
        return 1024, 8192
    return 256, 2048


def _model_flags(launch: Launch) -> tuple[str, ...]:
    revision = () if launch.revision is None else ("--revision", launch.revision)
    return (
        *revision,
        *("--served-model-name", *launch.served_names),
        *("--tensor-parallel-size", str(launch.tensor_parallel)),
    )


def _task_flags(task: Task) -> tuple[str, ...]:
    """The runner, where it is not the one that vLLM finds for most models.

    Answers to requests for embeddings have token counts in any case.
    """
    return ("--runner", "pooling") if task is Task.EMBED else _ACCOUNTING_FLAGS


def _batching_flags(engine: Engine) -> tuple[str, ...]:
    values = (
        ("--max-model-len", engine.max_model_len),
        ("--max-num-seqs", engine.batching.max_sequences),
        ("--max-num-batched-tokens", engine.batching.max_batched_tokens),
    )
    return tuple(word for flag, value in values if value is not None for word in (flag, str(value)))


def _memory_flags(launch: Launch) -> tuple[str, ...]:
    engine = launch.engine
    return (
        *_prefix_caching_flags(launch),
        # Without a format nothing is said: "auto" is the default, and the only name for the model's own precision.
        *(() if launch.kv_cache is None else launch.kv_cache.arguments),
        *("--gpu-memory-utilization", f"{engine.kv_cache.memory_utilization_percent / 100:.2f}"),
    )


def _prefix_caching_flags(launch: Launch) -> tuple[str, ...]:
    """Said in full, except that embeddings may use cached prefixes: many models see the whole text at once.

    Told to cache prefixes all the same, vLLM would answer wrongly; untold, it caches them where the model allows it
    (`ModelConfig.is_prefix_caching_supported`).
    """
    if not launch.engine.prefix_caching:
        return ("--no-enable-prefix-caching",)
    return () if launch.task is Task.EMBED else ("--enable-prefix-caching",)


def _optional_flags(launch: Launch) -> tuple[str, ...]:
    """What is only said where it is so: neither of them has a word for its absence in all versions."""
    template = launch.chat_template_path
    return (
        *(() if template is None else ("--chat-template", template)),
        # vLLM's own all-reduce kernels believe the driver about peer-to-peer (`VLLM_SKIP_P2P_CHECK`), as NCCL does.
        *(("--disable-custom-all-reduce",) if launch.through_host_memory else ()),
    )
