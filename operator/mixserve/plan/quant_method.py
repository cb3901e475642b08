"""How a checkpoint says that its weights are quantized: `quantization_config` in its config.json."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from mixserve.api.quantization import LONGEST_QUANT_METHOD, QUANT_METHOD_PATTERN
from mixserve.plan.model_source import repository_of
from mixserve.plan.quant_scheme import scheme_of

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.plan.facts import Configs

UNQUANTIZED = ""

_MODELOPT = "modelopt"


def quant_methods_by_variant(pool: LLMServingPool, configs: Configs) -> dict[str, str | None]:
    """By the variant's name: how its checkpoint is quantized, method:scheme or method as `Checkpoint` has them.

    `UNQUANTIZED` where it is not, None where nobody can tell.
    """
    found = {variant.name: configs.get(repository_of(pool, variant)) for variant in pool.spec.variants}
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
    # As engines read it: one library writes its name in two ways, another has several for its one way.
    method = method.lower().replace("compressed_tensors", "compressed-tensors")
    method = _MODELOPT if method.startswith(_MODELOPT) else method
    scheme = scheme_of(method, described)
    found = method if scheme is None else f"{method}:{scheme}"
    # What no format can name nobody can compare, and it may be anything.
    return found if len(found) <= LONGEST_QUANT_METHOD and re.fullmatch(QUANT_METHOD_PATTERN, found) else None


def is_one_of(found: str, expected: Collection[str]) -> bool:
    """Whether a quantized checkpoint is stored in one of the ways that a format names.

    Args:
        found: method, or method:scheme; without a scheme it may be any of the method's.
        expected: the same; without a scheme all of the method's are meant.
    """
    return any(_agree(found, entry) for entry in expected)


def _agree(found: str, expected: str) -> bool:
    (method, _, scheme), (other_method, _, other_scheme) = found.partition(":"), expected.partition(":")
    return method == other_method and (scheme == other_scheme or not (scheme and other_scheme))


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
