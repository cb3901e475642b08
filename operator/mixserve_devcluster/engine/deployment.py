"""From command line and environment to the engine that is simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mixserve.simulate.memory import kv_budget
from mixserve.simulate.settings import GIB, EngineSettings
from mixserve.simulate.speculation import SimulatedSpeculation
from mixserve_devcluster.engine import hardware, model_facts
from mixserve_devcluster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from mixserve.simulate.settings import HardwareFacts
    from mixserve_devcluster.engine.command_line import ServeOptions
    from mixserve_devcluster.engine.environment import SimulationEnvironment
    from mixserve_devcluster.engine.model_facts import SimulatedModel

# Where nobody says how long a context may be: enough for a conversation.
DEFAULT_CONTEXT_TOKENS = 8192
# The default cold start: reading the weights from a network volume, then profiling and capturing CUDA graphs.
LOAD_BYTES_PER_S = 2e9
ENGINE_INITIALIZATION_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One simulated engine, ready to be started.

    Attributes:
        gpu: the product that it pretends to run on.
        cold_start_s: simulated seconds until it is ready.
        time_scale: real seconds per simulated second.
        api_keys: keys that /v1 asks for; none: it asks for none.
    """

    options: ServeOptions
    settings: EngineSettings
    gpu: str
    cold_start_s: float
    time_scale: float
    api_keys: frozenset[str]

    def cache_config(self, blocks: int) -> dict[str, str]:
        """The labels of the metric cache_config_info, as Python prints them in vLLM."""
        settings, options = self.settings, self.options
        tokens = blocks * settings.block_size
        kv_bytes_per_gpu = tokens * settings.model.kv_bytes_per_token // settings.hardware.gpus
        return _CACHE_CONFIG | {
            "block_size": str(settings.block_size),
            "cache_dtype": options.kv_cache_dtype,
            "effective_attention_block_size": str(settings.block_size),
            "enable_prefix_caching": str(settings.enable_prefix_caching),
            "gpu_memory_utilization": str(settings.gpu_memory_utilization),
            "kv_cache_max_concurrency": str(tokens / settings.max_model_len),
            "kv_cache_memory_bytes": str(kv_bytes_per_gpu),
            "kv_cache_size_tokens": str(tokens),
            "num_gpu_blocks": str(blocks),
        }


# The labels that say nothing about what is simulated, with vLLM's defaults.
_CACHE_CONFIG = {
    "_block_size_resolved": "True",
    "cache_hit_alignment_tokens": "None",
    "enable_mamba_shared_prefix_checkpoint": "False",
    "hash_block_size": "None",
    "is_attention_free": "False",
    "kv_cache_dtype_skip_layers": "[]",
    "kv_cache_layout": "None",
    "kv_offloading_backend": "native",
    "kv_offloading_size": "None",
    "kv_sharing_fast_prefill": "False",
    "mamba_block_size": "None",
    "mamba_cache_dtype": "auto",
    "mamba_cache_mode": "none",
    "mamba_page_size_padded": "None",
    "mamba_ssm_cache_dtype": "float32",
    "num_cpu_blocks": "None",
    "num_gpu_blocks_override": "None",
    "prefix_cache_retention_interval": "0",
    "prefix_caching_hash_algo": "sha256",
    "prefix_match_unit": "None",
    "replayssm_buffer_len": "16",
    "skip_page_size_padded": "None",
    "sliding_window": "None",
    "swa_bounded_replay": "True",
    "use_kda_recoverssm": "False",
    "use_replayssm": "False",
    "user_specified_block_size": "False",
}


def resolve(options: ServeOptions, environment: SimulationEnvironment) -> Deployment:
    """Work out GPU, model and knobs.

    Raises:
        ConfigurationError: something that was given can't be used.
        EngineStartError: with `--max-model-len auto`, where not even one block fits.
    """
    gpu = hardware.find(environment.node_labels, options.simulated_gpu)
    model = model_facts.find(
        options.model,
        environment.pod_annotations,
        quantization=options.quantization,
        kv_cache_dtype=options.kv_cache_dtype,
        tensor_parallel=options.tensor_parallel_size,
    )
    keys = (*options.api_key, *([environment.api_key] if environment.api_key else []))
    cold_start_s = environment.cold_start_s
    return Deployment(
        options=options,
        settings=_settings(options, gpu, model, speculation=_speculation(options, environment, model)),
        gpu=gpu.product,
        cold_start_s=_derived_cold_start_s(model) if cold_start_s is None else cold_start_s,
        time_scale=environment.time_scale,
        api_keys=frozenset(keys),
    )


def _derived_cold_start_s(model: SimulatedModel) -> float:
    return (model.facts.weights_bytes + model.draft_bytes) / LOAD_BYTES_PER_S + ENGINE_INITIALIZATION_S


def _speculation(
    options: ServeOptions,
    environment: SimulationEnvironment,
    model: SimulatedModel,
) -> SimulatedSpeculation | None:
    said = options.speculation
    if said is None:
        return None
    return SimulatedSpeculation(
        tokens=said.tokens,
        acceptance=said.acceptance if environment.acceptance is None else environment.acceptance,
        schedule=said.schedule,
        draft_bytes=model.draft_bytes,
    )


def _settings(
    options: ServeOptions,
    gpu: hardware.Gpu,
    model: SimulatedModel,
    *,
    speculation: SimulatedSpeculation | None,
) -> EngineSettings:
    max_num_seqs, max_num_batched_tokens = _batch_limits(options, gpu)
    context = model.context_tokens or DEFAULT_CONTEXT_TOKENS
    hardware_facts = hardware.facts(gpu, gpus=options.tensor_parallel_size, compute_bits=model.compute_bits)
    try:
        settings = EngineSettings(
            hardware=hardware_facts,
            model=model.facts,
            max_model_len=options.max_model_len or context,
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
            gpu_memory_utilization=_utilization(options, hardware_facts, model),
            block_size=options.block_size,
            enable_prefix_caching=options.enable_prefix_caching,
            speculation=speculation,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return _longest_that_fits(settings) if options.max_model_len == 0 else settings


def _utilization(options: ServeOptions, gpus: HardwareFacts, model: SimulatedModel) -> float:
    """The share of all memory: with TensorRT-LLM what is occupied, and a fraction of what that leaves."""
    if options.trtllm is None:
        return options.gpu_memory_utilization
    weights_per_gpu = (model.facts.weights_bytes + model.draft_bytes) / gpus.gpus
    occupied = (weights_per_gpu + EngineSettings.memory_overhead_bytes) / gpus.memory_bytes
    return min(1.0, occupied + options.trtllm.free_gpu_memory_fraction * max(0.0, 1 - occupied))


def _longest_that_fits(settings: EngineSettings) -> EngineSettings:
    """What `--max-model-len auto` means: at most the model's own limit."""
    blocks = kv_budget(replace(settings, max_model_len=1)).blocks
    return replace(settings, max_model_len=min(settings.max_model_len, blocks * settings.block_size))


def _batch_limits(options: ServeOptions, gpu: hardware.Gpu) -> tuple[int, int]:
    """max_num_seqs and max_num_batched_tokens; vLLM's defaults depend on the GPU's memory."""
    seqs, tokens = 256, 2048
    if gpu.memory_bytes >= 160 * GIB:
        seqs, tokens = 1024, 16384
    elif gpu.memory_bytes >= 70 * GIB and "A100" not in gpu.product:
        seqs, tokens = 1024, 8192
    given_seqs, given_tokens = options.max_num_seqs, options.max_num_batched_tokens
    return (
        given_seqs or min(seqs, given_tokens or seqs),
        given_tokens or tokens,
    )
