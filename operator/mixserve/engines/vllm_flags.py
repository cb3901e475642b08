"""Flags of `vllm serve` that are not the user's to give, because a field of the pool or the operator owns them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_REPLICA = "Use spec.variants[].tensorParallel and spec.variants[].replicas: one replica is one pod"
_ADDRESS = "Leave it out: Services, probes and the autoscaler reach the engine at port 8000 of the pod"

OWNED_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "model": "Use spec.model.source, or the source of a variant",
        "revision": "Use spec.model.revision, or the revision of a variant",
        "hf-token": "Use spec.model.tokenSecretRef",
        "download-dir": "Leave it out: downloads go to the pod's own cache directory",
        "served-model-name": "Use spec.servedNames",
        "quantization": "Use spec.variants[].quantization; its QuantizationFormat has the arguments",
        "tensor-parallel-size": "Use spec.variants[].tensorParallel",
        "max-model-len": "Use spec.engine.maxModelLen",
        "max-num-seqs": "Use spec.engine.batching.maxSequences",
        "max-num-batched-tokens": "Use spec.engine.batching.maxBatchedTokens",
        "enable-prefix-caching": "Use spec.engine.prefixCaching",
        # The spelling that 0.33 adds.
        "disable-prefix-caching": "Use spec.engine.prefixCaching",
        "kv-cache-dtype": "Use spec.engine.kvCache.format",
        "gpu-memory-utilization": "Use spec.engine.kvCache.memoryUtilizationPercent",
        # The same in 0.33, for GPUs and others.
        "device-memory-utilization": "Use spec.engine.kvCache.memoryUtilizationPercent",
        "kv-cache-memory-bytes": "Use spec.engine.kvCache.memoryUtilizationPercent",
        "num-gpu-blocks-override": "Use spec.engine.kvCache.memoryUtilizationPercent",
        "shutdown-timeout": "Use spec.drainTimeout",
        "host": _ADDRESS,
        "port": _ADDRESS,
        "uds": _ADDRESS,
        "root-path": _ADDRESS,
        "grpc": _ADDRESS,
        "ssl-keyfile": _ADDRESS,
        "ssl-certfile": _ADDRESS,
        "pipeline-parallel-size": _REPLICA,
        "data-parallel-size": _REPLICA,
        "prefill-context-parallel-size": _REPLICA,
        "nnodes": _REPLICA,
        "headless": _REPLICA,
        "config": "Give its options one by one in spec.engine.args",
        "api-key": "Leave it out: a key in an argument can be read by everyone who may see the pod",
        "disable-log-stats": "Leave it out: autoscaling and drain need the engine's metrics",
    }
)
"""Long flags without dashes, to what to do instead."""


def owner_of(argument: str) -> str | None:
    """What to do instead of `argument`, or None if it may be given.

    vLLM's parser takes `_` for `-`, `--no-` before switches, nested keys after a `.`, and every abbreviation that no
    other flag shares. An abbreviation that several share ends the engine, so any beginning of an owned flag is refused.
    """
    name = re.split(r"[=.\s]", argument, maxsplit=1)[0].lstrip("-").replace("_", "-")
    positive = name.removeprefix("no-")
    return next((advice for flag, advice in OWNED_FLAGS.items() if flag.startswith(positive)), None)
