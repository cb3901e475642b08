"""How a checkpoint says that its weights are quantized: `quantization_config` in its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mixserve.plan.model_source import source_of

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.plan.facts import Configs

UNQUANTIZED = ""

_MODELOPT = "modelopt"


def quant_methods_by_variant(pool: LLMServingPool, configs: Configs) -> dict[str, str | None]:
    """By the variant's name: how its checkpoint is quantized, as `Checkpoint.quant_methods` has it.

    `UNQUANTIZED` where it is not, None where nobody can tell.
    """
    found = {variant.name: configs.get(source_of(pool, variant)) for variant in pool.spec.variants}
    return {name: None if config is None else quant_method(config) for name, config in found.items()}


def quant_method(config: Mapping[str, Any]) -> str | None:
    """Read a decoded config.json, which may hold anything."""
    described = _description(config)
    if described is None:
        return UNQUANTIZED
    if not isinstance(described, Mapping):
        return None
    method = described.get("quant_method") or _modelopt(described)
    if not isinstance(method, str):
        return None
    # As engines read it: one library writes its name in two ways.
    method = method.lower().replace("compressed_tensors", "compressed-tensors")
    return _with_algorithm(method, described) if method.startswith(_MODELOPT) else method


def _description(config: Mapping[str, Any]) -> object:
    """Multi-modal models may have it in their language model's part, and old compressed-tensors under another name."""
    text = config.get("text_config")
    places = (config, text) if isinstance(text, Mapping) else (config,)
    keys = ("quantization_config", "compression_config")
    return next((place[key] for place in places for key in keys if place.get(key) is not None), None)


def _modelopt(described: Mapping[str, Any]) -> str | None:
    """ModelOpt names itself where it names no method."""
    producer = described.get("producer")
    return _MODELOPT if isinstance(producer, Mapping) and producer.get("name") == _MODELOPT else None


def _with_algorithm(method: str, described: Mapping[str, Any]) -> str:
    """ModelOpt has one method for all its formats."""
    inner = described.get("quantization")
    algorithm = (inner if isinstance(inner, Mapping) else described).get("quant_algo")
    if not isinstance(algorithm, str):
        return method
    return _MODELOPT if algorithm.upper().startswith("FP8") else f"{_MODELOPT}_{algorithm.lower()}"
