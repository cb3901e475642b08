"""TensorRT-LLM: `trtllm-serve` with its options file, environment, metrics. Never run here, for want of a GPU.

From the project's source in public copies: `commands/serve.py`, `serve/openai_server.py`, `executor/result.py` and
`_torch/pyexecutor` as of about 1.1 and 1.2, and the main branch of 2026 for 1.3 (`metrics/collector.py`).
docs/engines.md says what was checked against what.

Which of options file and command line wins differs between versions, so nothing is said twice: limits and parallelism
are on the command line, what has no option of its own in all versions is in the file.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from mixserve.api.engine import Task
from mixserve.engines import tensorrt_llm_speculation
from mixserve.engines.protocol import Caveat, MetricNames, MetricsFormat, MetricsPage, SpeculationNames, StartupAdvice
from mixserve.engines.startup_errors import HUB_ERRORS, always, first_advice
from mixserve.engines.tensorrt_llm_flags import owner_of
from mixserve.engines.variables import hub_variables, nccl_variables, owner_of_variable
from mixserve.engines.versions import nearest_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.engine import Engine
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.engines.protocol import Launch, Obstacle

_STATISTICS = MetricsPage(
    path="/metrics",
    names=MetricNames(
        running=("numActiveRequests",),
        waiting=("numQueuedRequests",),
        kv_cache_usage=("kvCacheStats",),
        # In each iteration's specDecodingStats, of that iteration alone (`SpecDecodingStats` in executor/types.h).
        speculation=SpeculationNames(
            drafts="numRequestsWithDraftTokens",
            proposed="numDraftTokens",
            kept="numAcceptedTokens",
        ),
    ),
    format=MetricsFormat.ITERATION_STATISTICS,
    # The server answers once no iteration has come for 2 s (`get_stats_async(2)`); where it asks its workers first, it
    # may wait for them for as long again. And the next scrape is due after 5 s.
    timeout_s=4.8,
)
_GAUGES = MetricsPage(
    path="/prometheus/metrics",
    names=MetricNames(
        running=("trtllm_num_requests_running",),
        waiting=("trtllm_num_requests_waiting",),
        kv_cache_usage=("trtllm_kv_cache_utilization",),
        # How often tokens were proposed is not counted; there is a gauge of the last iteration's accepted length only.
        speculation=SpeculationNames(
            drafts=None,
            proposed="trtllm_spec_decode_num_draft_tokens_total",
            kept="trtllm_spec_decode_num_accepted_tokens_total",
        ),
    ),
)
# The gauges came with 1.3.0rc12 (pull request 12545); before, the page has histograms and counters only.
_METRICS_PAGES = MappingProxyType({"1.1": _STATISTICS, "1.2": _STATISTICS, "1.3": _GAUGES})

_WITHOUT_CHAT_TEMPLATE = frozenset({"1.1"})

_SILENT_UNDER_LOAD = Caveat(
    cause="this version gives its statistics once there was no iteration for two seconds: under steady load there may "
    "be none, and a pool without metrics keeps its size",
    remedy="set replicas.min of the variants to what the load needs, or choose 1.3, whose metrics are always there",
)

# `BuildConfig`, the defaults of trtllm-serve's own options.
_DEFAULT_MAX_BATCH_SIZE = 2048
_DEFAULT_MAX_NUM_TOKENS = 8192

# trtllm-serve has this option in some versions only, so formats name the type with it, and it is written into the file.
_KV_CACHE_DTYPE = "--kv_cache_dtype"

_USE_MODELOPT = "use a checkpoint that ModelOpt has made, with its hf_quant_config.json"

_STARTUP_ERRORS = (
    # click's own words.
    always(
        r"No such option:? '?(--[^\s']+)",
        "this version of the engine does not know {1}",
        "correct or remove it in spec.engine.args, or choose another spec.engine.version",
    ),
    always(
        r"Error: (Invalid value for .+)",
        "the engine refuses its arguments: {1}",
        "correct spec.engine.args, or choose another spec.engine.version",
    ),
    # PyTorch's.
    always(
        r"CUDA out of memory",
        "the GPU's memory ran out",
        "lower spec.engine.batching.maxBatchedTokens or spec.engine.kvCache.memoryUtilizationPercent, or choose a "
        "larger tensorParallel, another quantization or another accelerator in the variant",
    ),
    *HUB_ERRORS,
    # `launch_server`'s.
    always(
        r"Failed to bind socket to (\S+):",
        "something in the pod listens on {1} already",
        "remove the container that was added to the pod, or give it another port",
    ),
    # `ModelLoader._update_from_hf_quant_config`'s.
    always(
        r"Unsupported quantization_config",
        "the engine does not read the checkpoint's quantization",
        _USE_MODELOPT,
    ),
)


class TensorRTLLMAdapter:
    """TensorRT-LLM 1.1 to 1.3, with its PyTorch backend; other versions are treated as the nearest of them."""

    port = 8000
    health_path = "/health"
    token_variable = "HF_TOKEN"  # noqa: S105 - the name of a variable
    supported_versions = tuple(_METRICS_PAGES)
    # The quantization is the checkpoint's; there is no option for it.
    format_flags: frozenset[str] = frozenset()
    kv_cache_flags = frozenset({_KV_CACHE_DTYPE})
    # `trtllm-serve` has a command of its own for embeddings, of encoders alone and with other options.
    tasks = frozenset({Task.GENERATE})
    # An adapter is in a request's `lora_request`, with a path.
    serves_adapters = False
    kv_block_tokens = 32  # `KvCacheConfig.tokens_per_block`

    def image(self, version: str) -> str:
        """NVIDIA's own image."""
        return f"nvcr.io/nvidia/tensorrt-llm/release:{version}"

    def command(self, launch: Launch) -> tuple[str, ...]:
        """`trtllm-serve` with one word per option and value; raw arguments come last."""
        return (
            *("trtllm-serve", launch.model),
            *("--host", "0.0.0.0"),  # noqa: S104 - the pod's network is its own; the default is localhost
            *("--port", str(self.port)),
            *("--tp_size", str(launch.tensor_parallel)),
            *_limits(launch.engine),
            *(() if launch.chat_template_path is None else ("--chat_template", launch.chat_template_path)),
            *("--extra_llm_api_options", launch.options_path),
            *launch.quantization.arguments,
            *(argument for argument in _kv_cache_arguments(launch) if _dtype_of(argument) is None),
            *launch.engine.args,
        )

    def options_file(self, launch: Launch) -> str:
        """The YAML file for `--extra_llm_api_options`: arguments of the `LLM` class."""
        options: dict[str, Any] = {
            # As in vLLM, where it is the default: without it no prompt may be longer than a step.
            "enable_chunked_prefill": True,
            "enable_iter_perf_stats": True,
            "kv_cache_config": _kv_cache_config(launch),
        }
        if self.metrics_page(launch.engine.version).format is MetricsFormat.PROMETHEUS:
            # Mounts /prometheus/metrics. Its collector takes the statistics away from /metrics, so one or the other.
            options["return_perf_metrics"] = True
        if launch.revision is not None:
            # An option of trtllm-serve only since 1.2.
            options["revision"] = launch.revision
        if launch.through_host_memory:
            # Its own kernels for it read the memory of the other GPUs.
            options["allreduce_strategy"] = "NCCL"
        if launch.pair is not None:
            line = self._line(launch.engine.version)
            options["speculative_config"] = tensorrt_llm_speculation.speculative_config(launch.pair, line=line)
        return yaml.safe_dump(options, sort_keys=True)

    def environment(self, launch: Launch) -> Mapping[str, str]:
        """No usage statistics, and downloads in the writable directory."""
        return {"TRTLLM_NO_USAGE_STATS": "1", **hub_variables(launch), **nccl_variables(launch)}

    def owner_of(self, argument: str) -> str | None:
        """What to use instead of `argument`, by any of its names."""
        return owner_of(argument)

    def owner_of_variable(self, name: str) -> str | None:
        """What to use instead of the variable."""
        return owner_of_variable(name, {})

    def listed_names(self, _launch: Launch) -> tuple[str, ...]:
        """None that all versions agree on: the directory's name, or the whole id."""
        return ()

    def takes_chat_template(self, version: str) -> bool:
        """Since 1.2 (pull request 9297, of the end of 2025)."""
        return nearest_line(version, self.supported_versions) not in _WITHOUT_CHAT_TEMPLATE

    def metrics_page(self, version: str) -> MetricsPage:
        """Gauges since 1.3, statistics of iterations before."""
        return _METRICS_PAGES[self._line(version)]

    def caveats(self, version: str) -> tuple[Caveat, ...]:
        """Before 1.3, that there are no metrics under load."""
        return (_SILENT_UNDER_LOAD,) if self.metrics_page(version) is _STATISTICS else ()

    def speculation_obstacles(
        self,
        pair: SpeculativePairSpec,
        *,
        engine: Engine,
        tensor_parallel: int,
        adapters: bool,  # noqa: ARG002 - they are refused in any case
    ) -> tuple[Obstacle, ...]:
        """What the options file of this version can't say."""
        line = self._line(engine.version)
        return tuple(tensorrt_llm_speculation.obstacles(pair, line=line, tensor_parallel=tensor_parallel))

    def speculation_caveats(self, pair: SpeculativePairSpec, *, engine: Engine) -> tuple[Caveat, ...]:  # noqa: ARG002 - the same in all
        """What the options file of all versions can't say, and that is no reason not to start."""
        return tensorrt_llm_speculation.caveats(pair)

    def refused_checkpoint(self, quant_method: str) -> str | None:
        """AutoAWQ's, AutoGPTQ's and Quark's, on which the loader raises NotImplementedError."""
        return _USE_MODELOPT if quant_method.partition(":")[0] in {"awq", "gptq", "quark"} else None

    def default_max_sequences(self, *, memory_bytes: int, compute_capability: str) -> int:  # noqa: ARG002 - the same on all
        """Whatever the GPU: `max_batch_size`."""
        return _DEFAULT_MAX_BATCH_SIZE

    def default_max_batched_tokens(
        self,
        engine: Engine,  # noqa: ARG002 - nothing of it matters
        *,
        memory_bytes: int,  # noqa: ARG002 - nor does the GPU
        compute_capability: str,  # noqa: ARG002
    ) -> int:
        """Whatever the GPU: `max_num_tokens`."""
        return _DEFAULT_MAX_NUM_TOKENS

    def advise(self, log: str) -> StartupAdvice | None:
        """What a known start-up error means."""
        return first_advice(log, _STARTUP_ERRORS)

    def _line(self, version: str) -> str:
        return nearest_line(version, self.supported_versions)


def free_memory_fraction(*, utilization_percent: int, occupied_share: float | None) -> float:
    """`free_gpu_memory_fraction` for a share of all memory.

    Of a GPU's memory M, vLLM gives the KV cache u x M - o x M, if u is its utilization and o x M what weights,
    activations, CUDA graphs and libraries occupy. TensorRT-LLM measures what it occupies, too, and gives the KV cache
    f x (M - o x M). So both take the same where

        f = (u - o) / (1 - o)

    Without the model's numbers o is taken for 0: f = u. That is too much for what the field says, and yet less than
    all: (1 - u) x (M - o x M) stay free.

    Args:
        utilization_percent: u, in percent.
        occupied_share: o, 0 or more; None if unknown. From u on the model does not fit, and nothing is left.

    Returns:
        A share from 0.0001 to 1, rounded down to what a file for people should have.
    """
    utilization = utilization_percent / 100
    occupied = min(occupied_share or 0.0, utilization)
    share = (utilization - occupied) / (1 - occupied)
    return max(1, int(share * 10_000 + 1e-6)) / 10_000


def _kv_cache_config(launch: Launch) -> dict[str, Any]:
    cache = launch.engine.kv_cache
    config: dict[str, Any] = {
        "enable_block_reuse": launch.engine.prefix_caching,
        "free_gpu_memory_fraction": free_memory_fraction(
            utilization_percent=cache.memory_utilization_percent,
            occupied_share=launch.occupied_share,
        ),
    }
    # Without a format nothing is said: "auto" is the default, and the only name for the model's own precision.
    dtypes = [found for argument in _kv_cache_arguments(launch) if (found := _dtype_of(argument)) is not None]
    return {**config, "dtype": dtypes[-1]} if dtypes else config


def _kv_cache_arguments(launch: Launch) -> tuple[str, ...]:
    return () if launch.kv_cache is None else launch.kv_cache.arguments


def _dtype_of(argument: str) -> str | None:
    """What an argument of a KV cache's format says about the type; None for other arguments."""
    flag, _, value = argument.partition("=")
    return value if flag == _KV_CACHE_DTYPE else None


def _limits(engine: Engine) -> tuple[str, ...]:
    values = (
        ("--max_batch_size", engine.batching.max_sequences),
        ("--max_num_tokens", engine.batching.max_batched_tokens),
        ("--max_seq_len", engine.max_model_len),
    )
    return tuple(word for option, value in values if value is not None for word in (option, str(value)))
