"""Flags of `vllm serve` that are not the user's to give, because a field of the pool or the operator owns them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_REPLICA = "use spec.variants[].tensorParallel and spec.variants[].replicas: one replica is one pod"
_ADDRESS = "leave it out: Services, probes and the autoscaler reach the engine at port 8000 of the pod"

OWNED_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "model": "use spec.model.source, or the source of a variant",
        "revision": "use spec.model.revision, or the revision of a variant",
        "hf-token": "use spec.model.tokenSecretRef",
        "download-dir": "leave it out: downloads go to the pod's own cache directory",
        "served-model-name": "use spec.servedNames",
        "quantization": "use spec.variants[].quantization; its QuantizationFormat has the arguments",
        "tensor-parallel-size": "use spec.variants[].tensorParallel",
        "max-model-len": "use spec.engine.maxModelLen",
        "max-num-seqs": "use spec.engine.batching.maxSequences",
        "max-num-batched-tokens": "use spec.engine.batching.maxBatchedTokens",
        "enable-prefix-caching": "use spec.engine.prefixCaching",
        # The spelling that 0.33 adds.
        "disable-prefix-caching": "use spec.engine.prefixCaching",
        "kv-cache-dtype": "use spec.engine.kvCache.format",
        "gpu-memory-utilization": "use spec.engine.kvCache.memoryUtilizationPercent",
        # The same in 0.33, for GPUs and others.
        "device-memory-utilization": "use spec.engine.kvCache.memoryUtilizationPercent",
        "kv-cache-memory-bytes": "use spec.engine.kvCache.memoryUtilizationPercent",
        "num-gpu-blocks-override": "use spec.engine.kvCache.memoryUtilizationPercent",
        "shutdown-timeout": "use spec.drainTimeout",
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
        "config": "give its options one by one in spec.engine.args",
        "api-key": "leave it out: a key in an argument can be read by everyone who may see the pod",
        "disable-log-stats": "leave it out: autoscaling and drain need the engine's metrics",
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
