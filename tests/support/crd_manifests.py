"""A manifest of each kind, with every field; where fields exclude each other, a second one has the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION = "6f6073b423013f6a7d4d9f39144961bfbfbc386b"

_FACTS: Mapping[str, Any] = {
    # So that the most of each of the others make less.
    "parameters": 50_000_000_000_000,
    "layers": 80,
    "hiddenSize": 8192,
    # So that the least and the most of each divide.
    "attentionHeads": 10000,
    "keyValueHeads": 1,
    "headSize": 128,
    "vocabularySize": 128256,
    "maxPositionEmbeddings": 131072,
    "tiedEmbeddings": True,
    "activeParameters": 4_000_000_000,
    "expertParameters": 60_000_000_000,
    "attentionParameters": 1_000_000_000,
    "visionParameters": 400_000_000,
    "checkpointBytes": 141_107_412_992,
    "latentSize": 576,
    "slidingWindow": {"tokens": 1024, "layers": 1},
}
"""Of a model."""

MANIFESTS: Mapping[str, dict[str, Any]] = {
    "LLMServingPool": {
        "apiVersion": API_VERSION,
        "kind": "LLMServingPool",
        "metadata": {"name": "corpus", "namespace": "default"},
        "spec": {
            "servedNames": ["llama", "Llama:70b"],
            "task": "Generate",
            "model": {
                "source": "hf://example/Llama-3.3-70B",
                "revision": REVISION,
                "tokenSecretRef": {"name": "hf-token", "key": "token"},
                "adapters": [
                    {"name": "law", "source": "hf://example/law-lora", "revision": REVISION, "rank": 32},
                    {"name": "Tax:v2", "source": "pvc://models/tax", "rank": 16},
                ],
                "facts": {**_FACTS},
            },
            "engine": {
                "type": "vllm",
                "version": "0.33.0",
                "image": "registry.example:5000/vllm/vllm-openai:v0.33.0@sha256:0123",
                "maxModelLen": 16384,
                "prefixCaching": False,
                "batching": {"maxSequences": 256, "maxBatchedTokens": 8192},
                "kvCache": {"format": "fp8", "memoryUtilizationPercent": 90},
                "args": ["--enable-chunked-prefill", '--override={"a": [1, 2]}'],
                "chatTemplate": {"name": "templates", "key": "llama.jinja"},
                "cache": {"claimName": "cache"},
                "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
                "startupTimeout": "1h",
            },
            "variants": [
                {
                    "name": "fp8-h100",
                    "quantization": "fp8",
                    "accelerator": "h100-80gb",
                    "source": "hf://example/Llama-3.3-70B-FP8",
                    "revision": REVISION,
                    "tensorParallel": 2,
                    # So that the least and the most of each go together.
                    "replicas": {"min": 1, "max": 1000},
                    "resources": {"cpu": 8, "memory": "65536Mi"},
                },
                {"name": "other", "quantization": "bf16", "accelerator": "l4"},
            ],
            "speculativePairRef": {"name": "llama-ngram"},
            "routing": {"strategy": "LeastLoad"},
            "prices": {"prompt": "0.45", "cachedPrompt": "0.05", "completion": "1.8"},
            "autoscaling": {
                "mode": "Advisory",
                "targets": {"waitingRequestsPerReplica": 2, "kvCacheUsagePercent": 80},
                "scaleDown": {"stabilization": "1m30s"},
            },
            "rollout": {"surge": False},
            "drainTimeout": "2m30s",
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Ready",
                    "message": "2 of 2 replicas are ready",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                    "observedGeneration": 3,
                }
            ],
            "desired": 2,
            "ready": 1,
            "starting": 1,
            "limitedBy": "running",
            "lastScale": "2026-01-02T03:04:05Z",
            "costPerHour": "13.76",
            "prices": {
                "promptPerMillion": "0.109267",
                "cachedPromptPerMillion": "0.000184",
                "completionPerMillion": "0.490649",
                "source": "Predicted",
            },
            "variants": [
                {
                    "name": "fp8-h100",
                    "deployment": "corpus-fp8-h100",
                    "desired": 2,
                    "replicas": 2,
                    "ready": 1,
                    "learned": {"requests": 27, "expected": "16.0"},
                },
            ],
            "lastDecision": {
                "time": "2026-01-02T03:04:05Z",
                "current": 1,
                "desired": 2,
                "bindingTerm": "running",
                "terms": [{"name": "running", "replicas": "1.7", "detail": "27 running / 16"}],
                "blockedBy": "AtMaximum",
                "message": "1 -> 2: running 1.7",
            },
        },
    },
    "QuantizationFormat": {
        "apiVersion": API_VERSION,
        "kind": "QuantizationFormat",
        "metadata": {"name": "corpus"},
        "spec": {
            "target": "Weights",
            "bits": "4.156",
            "computeBits": 16,
            "unquantized": ["Embeddings"],
            "checkpoint": {"quantMethods": ["awq:w4a16"]},
            "engines": [
                {
                    "type": "vllm",
                    "minimumVersion": "0.32.0",
                    # So that every example of the pattern is in order with the other one.
                    "minimumComputeCapability": "0.0",
                    "nativeComputeCapability": "99.9",
                    "fallbackKernel": "Marlin W4A16",
                    "refused": [{"fromComputeCapability": "99.9", "reason": "the kernels end with Hopper"}],
                    "arguments": ["--quantization=awq"],
                }
            ],
        },
        "status": {"observedGeneration": 3, "pools": 2, "usedBy": ["default/corpus", "default/other"]},
    },
    "AcceleratorClass": {
        "apiVersion": API_VERSION,
        "kind": "AcceleratorClass",
        "metadata": {"name": "corpus"},
        "spec": {
            "memory": "22528Mi",
            "computeCapability": "8.9",
            "memoryBandwidth": 300,
            "denseTeraflops": {"bits16": 121, "bits8": 242, "bits4": 484},
            "gpusPerNode": 8,
            "peerToPeer": False,
            "pricePerHour": "0.8048",
            "spotPricePerHour": "0.3",
            "resourceName": "nvidia.com/gpu",
            # One integer, so that In, NotIn, Gt and Lt all do.
            "nodeRequirements": [{"key": "nvidia.com/gpu.compute.major", "operator": "In", "values": ["8"]}],
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "NodesFound",
                    "status": "True",
                    "reason": "NodesFound",
                    "message": "Nodes match and offer nvidia.com/gpu",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                    "observedGeneration": 3,
                }
            ],
            "nodes": 3,
            "readyNodes": 2,
            "gpus": 24,
            "freeGpus": 7,
            "pools": 2,
            "usedBy": ["default/corpus", "default/other"],
        },
    },
    "SpeculativePair": {
        "apiVersion": API_VERSION,
        "kind": "SpeculativePair",
        "metadata": {"name": "corpus", "namespace": "default"},
        "spec": {
            "method": "EAGLE3",
            # So that the least and the most of each go together.
            "tokens": 32,
            "batchSchedule": [{"maxBatch": 16, "tokens": 1}],
            "draft": {
                "source": "hf://example/EAGLE3-Llama-3.3-70B",
                "revision": REVISION,
                "tensorParallel": 1,
                "facts": {**_FACTS},
            },
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Ready",
                    "message": "the pool llama speculates with it",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                    "observedGeneration": 3,
                }
            ],
            "pools": [
                {
                    "name": "llama",
                    "tokenizersMatch": "True",
                    "variant": "fp8-h100",
                    "acceptanceRate": "0.71",
                    "acceptedLength": "3.13",
                    "expectedSpeedUp": "1.9",
                    "batch": "12.5",
                }
            ],
        },
    },
    "RoutingPolicy": {
        "apiVersion": API_VERSION,
        "kind": "RoutingPolicy",
        "metadata": {"name": "corpus", "namespace": "default"},
        "spec": {
            "servedNames": ["auto", "Auto:1"],
            "classifier": {"type": "LLM", "llm": {"poolRef": {"name": "qwen-8b"}, "timeoutMilliseconds": 250}},
            "tiers": [
                {
                    "name": "small",
                    "maxComplexity": 2,
                    "targets": [
                        {"poolRef": {"name": "qwen-8b"}, "priority": 1, "weight": 90},
                        {"poolRef": {"name": "llama-8b"}},
                    ],
                },
                {"name": "large", "maxComplexity": 5, "targets": [{"poolRef": {"name": "llama-70b"}}]},
            ],
            "fallback": {"when": ["Overloaded"], "firstByteTimeout": "30s"},
            "overrides": "Denied",
            "shadow": {"poolRef": {"name": "llama-70b-fp8"}, "percent": 5},
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Ready",
                    "message": "every tier has a target that takes requests",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                    "observedGeneration": 3,
                }
            ],
            "targets": "2/3",
            "gateway": {"address": "http://mixserve-gateway.default.svc", "readyReplicas": 2},
            "tiers": [
                {
                    "name": "small",
                    "targets": [{"pool": "qwen-8b", "health": "Ready", "readyReplicas": 3, "sharePercent": 70}],
                }
            ],
        },
    },
}

OTHER_MANIFESTS: Mapping[str, dict[str, Any]] = {
    "SpeculativePair": {
        **MANIFESTS["SpeculativePair"],
        "spec": {"method": "NGram", "ngram": {"minLookup": 1, "maxLookup": 32}},
    },
}
"""By kind: what the first manifest can't have."""
