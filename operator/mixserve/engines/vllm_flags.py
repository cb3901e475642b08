"""Flags of `vllm serve` that are not the user's to give, because a field of the pool or the operator owns them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_REPLICA = "use spec.variants[].tensorParallel and spec.variants[].replicas: one replica is one pod"
_ENDS = "leave it out: the engine would print something and end"
_SPECULATION = "use spec.speculativePairRef"
_ADDRESS = "leave it out: Services, probes and the autoscaler reach the engine at port 8000 of the pod"
_TASK = "use spec.task"
_ADAPTERS = "use spec.model.adapters"
_COUNTED = "leave it out: the operator switches it on, so that the tokens of every request can be counted"
_PEERS = "use peerToPeer of the AcceleratorClass"

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
        # The same since 0.31, for GPUs and others.
        "device-memory-utilization": "use spec.engine.kvCache.memoryUtilizationPercent",
        "kv-cache-memory-bytes": "use spec.engine.kvCache.memoryUtilizationPercent",
        "num-gpu-blocks-override": "use spec.engine.kvCache.memoryUtilizationPercent",
        "chat-template": "use spec.engine.chatTemplate",
        "enable-force-include-usage": _COUNTED,
        "enable-prompt-tokens-details": _COUNTED,
        "disable-custom-all-reduce": _PEERS,
        "runner": _TASK,
        "convert": _TASK,
        "enable-lora": _ADAPTERS,
        "lora-modules": _ADAPTERS,
        "max-loras": _ADAPTERS,
        "max-lora-rank": _ADAPTERS,
        "max-cpu-loras": _ADAPTERS,
        "speculative-config": _SPECULATION,
        "spec-method": _SPECULATION,
        "spec-model": _SPECULATION,
        "spec-tokens": _SPECULATION,
        "shutdown-timeout": "use spec.drainTimeout",
        "host": _ADDRESS,
        "port": _ADDRESS,
        "uds": _ADDRESS,
        "root-path": _ADDRESS,
        "grpc": _ADDRESS,
        "ssl-keyfile": _ADDRESS,
        "ssl-certfile": _ADDRESS,
        "pipeline-parallel-size": _REPLICA,
        "prefill-context-parallel-size": _REPLICA,
        "nnodes": _REPLICA,
        "node-rank": _REPLICA,
        "master-addr": _REPLICA,
        "master-port": _REPLICA,
        "headless": _REPLICA,
        "api-server-count": "leave it out: the metrics of several API servers are incomplete",
        "config": "give its options one by one in spec.engine.args",
        "api-key": "leave it out: a key in an argument can be read by everyone who may see the pod",
        "disable-log-stats": "leave it out: autoscaling and drain need the engine's metrics",
        "help": _ENDS,
        "version": _ENDS,
    }
)
"""Long flags without dashes, to what to do instead."""

OWNED_FAMILIES: Mapping[str, str] = MappingProxyType({"data-parallel-": _REPLICA})
"""Beginnings of long flags that have an owner whatever follows: there are more of them with each version."""

# As many as a sentence takes; what is so short that it begins more of them says nothing anyway.
_MOST_LISTED = 4


def owner_of(argument: str) -> str | None:
    """What to do instead of `argument`, or None if it may be given.

    vLLM's parser takes `_` for `-`, `--no-` before switches, nested keys after a `.`, and every abbreviation that no
    other flag shares. An abbreviation that several share ends the engine, so any beginning of an owned flag is refused.
    """
    name = _name(argument)
    family = next((advice for beginning, advice in OWNED_FAMILIES.items() if name.startswith(beginning)), None)
    return OWNED_FLAGS.get(name) or family or _owner_of_abbreviation(name)


def may_stand_for(argument: str, flag: str) -> bool:
    """Whether `argument` is a flag (without dashes), its negation or an abbreviation of either."""
    return flag.startswith(_name(argument))


def _name(argument: str) -> str:
    """The flag of an argument as the parser sees it: without dashes, negation, nested keys and value."""
    return re.split(r"[=.\s]", argument, maxsplit=1)[0].lstrip("-").replace("_", "-").removeprefix("no-")


def _owner_of_abbreviation(name: str) -> str | None:
    meant = [flag for flag in (*OWNED_FLAGS, *OWNED_FAMILIES) if flag.startswith(name)]
    advices = {OWNED_FLAGS.get(flag) or OWNED_FAMILIES[flag] for flag in meant}
    if len(advices) > 1:
        listed = ", ".join(f"--{flag}" for flag in sorted(meant)[:_MOST_LISTED])
        return f"write the flag out: this may stand for {listed}{' and more' if len(meant) > _MOST_LISTED else ''}"
    return next(iter(advices), None)
