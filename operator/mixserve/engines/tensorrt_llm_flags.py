"""Options of `trtllm-serve` that are not the user's to give, because a field of the pool or the operator owns them.

Read from `trtllm_serve_cli.yaml` of TensorRT-LLM's main branch of 2026, which lists every option with its aliases, and
from `commands/serve.py` of the times of 1.1 and 1.2. `speculative_config` is a key of the options file only.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

_REPLICA = "use spec.variants[].tensorParallel and spec.variants[].replicas: one replica is one pod"
_ADDRESS = "leave it out: Services, probes and the autoscaler reach the engine at port 8000 of the pod"
_MEMORY = "use spec.engine.kvCache.memoryUtilizationPercent"
_LENGTH = "use spec.engine.maxModelLen"
_FILE = "leave it out: the operator writes this file, and the fields of spec.engine say what is in it"
_HTTP = "leave it out: the operator speaks HTTP with the engine"
_CHUNKS = "leave it out: the operator switches it on, so that prompts may be longer than maxBatchedTokens"

OWNED_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "host": _ADDRESS,
        "port": _ADDRESS,
        "tensor_parallel_size": "use spec.variants[].tensorParallel",
        "tp_size": "use spec.variants[].tensorParallel",
        "pipeline_parallel_size": _REPLICA,
        "pp_size": _REPLICA,
        "context_parallel_size": _REPLICA,
        "cp_size": _REPLICA,
        "gpus_per_node": _REPLICA,
        "server_role": _REPLICA,
        "disagg_cluster_uri": _REPLICA,
        "metadata_server_config_file": _REPLICA,
        "num_serve_frontends": "leave it out: the metrics of several frontends are incomplete",
        "max_batch_size": "use spec.engine.batching.maxSequences",
        "max_num_tokens": "use spec.engine.batching.maxBatchedTokens",
        "max_seq_len": _LENGTH,
        "free_gpu_memory_fraction": _MEMORY,
        "kv_cache_free_gpu_memory_fraction": _MEMORY,
        "kv_cache_dtype": "use spec.engine.kvCache.format",
        "enable_chunked_prefill": _CHUNKS,
        "speculative_config": "use spec.speculativePairRef",
        "config": _FILE,
        "extra_llm_api_options": _FILE,
        "revision": "use spec.model.revision, or the revision of a variant",
        "hf_revision": "use spec.model.revision, or the revision of a variant",
        "served_model_name": "use spec.servedNames",
        "backend": "leave it out: the operator's options are those of the PyTorch backend, the default",
        "grpc": _HTTP,
        "enable_visual_gen": _HTTP,
        "telemetry": "leave it out: the operator switches it off",
        "help": "leave it out: the engine would print something and end",
    }
)
"""Options without dashes, with all their aliases, to what to do instead."""


def owner_of(argument: str) -> str | None:
    """What to do instead of `argument`, or None if it may be given.

    click takes options as they are written, without abbreviations; a dash for an underscore ends the engine, so it is
    refused as what was meant.
    """
    return OWNED_OPTIONS.get(_name(argument))


def _name(argument: str) -> str:
    """The option of an argument: without dashes, negation and value."""
    return re.split(r"[=\s]", argument, maxsplit=1)[0].lstrip("-").replace("-", "_").removeprefix("no_")
