"""Manifests of pools that hollow nodes can run."""

from __future__ import annotations

from typing import Any

_FACTS = {
    "parameters": 8_030_261_248,
    "layers": 32,
    "hiddenSize": 4096,
    "attentionHeads": 32,
    "keyValueHeads": 8,
    "headSize": 128,
    "vocabularySize": 128256,
    "maxPositionEmbeddings": 8192,
}


def variant(name: str = "main", *, least: int = 1, most: int = 4, **fields: Any) -> dict[str, Any]:
    """BF16 on one H100, unless told."""
    replicas = {"min": least, "max": most}
    return {"name": name, "quantization": "bf16", "accelerator": "h100-80gb", "replicas": replicas, **fields}


def pool(
    name: str = "chat", *variants: dict[str, Any], model: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """A pool with one variant and the numbers of an 8B model, unless told."""
    source = {"source": "hf://example/model", "revision": "0123456789abcdef0123456789abcdef01234567"}
    return {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "LLMServingPool",
        "metadata": {"name": name},
        "spec": {
            "model": {**source, "facts": _FACTS, **(model or {})},
            "variants": list(variants) or [variant()],
            **spec,
        },
    }
