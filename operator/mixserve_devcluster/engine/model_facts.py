"""Which model the engine pretends to run: from the pod's memory plan, else from config.json, else a default."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.simulate.settings import ModelFactsForSimulation
from mixserve_devcluster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY_PLAN_ANNOTATION = "mixserve.dev/memory-plan"
_COMPUTE_BITS = 16
# Formats by the beginning of their --quantization value: bits per weight, scales included, and of the arithmetic.
_QUANTIZATION_BITS: Mapping[str, tuple[float, int]] = {
    "fp8": (8, 8),
    "modelopt_fp4": (4.5, 4),
    "awq": (4.156, 16),
    "gptq": (4.156, 16),
    "mxfp4": (4.25, 16),
}
# The same for --kv-cache-dtype: bits of a key or value.
_KV_CACHE_BITS: Mapping[str, float] = {"fp8": 8, "nvfp4": 4.5}


@dataclass(frozen=True, kw_only=True)
class SimulatedModel:
    """A model, and what limits it.

    Attributes:
        compute_bits: bits of the matrix arithmetic.
        context_tokens: the longest context that the model allows, or None if nobody said.
        draft_bytes: weights that are there only to propose tokens; 0 where nobody said.
    """

    facts: ModelFactsForSimulation
    compute_bits: int
    context_tokens: int | None
    draft_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class _Dimensions:
    """What of a dense model's config.json its size follows from."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    context_tokens: int

    @property
    def parameters(self) -> int:
        """Projections of attention and MLP in each layer, and the embeddings; norms are too small to matter."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        mlp = 3 * self.hidden * self.intermediate
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * (attention + mlp) + embeddings


# Where nothing is known of the model: the dimensions of Llama-3.1-8B, the usual small model.
_DEFAULT = _Dimensions(
    layers=32,
    hidden=4096,
    intermediate=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=128256,
    tied=False,
    context_tokens=131072,
)


def find(
    model: str,
    annotations: Mapping[str, str],
    *,
    quantization: str | None,
    kv_cache_dtype: str,
    tensor_parallel: int,
) -> SimulatedModel:
    """The facts of a model.

    Args:
        model: Hugging Face id or directory.
        annotations: the pod's; the memory plan among them is taken as it is.
        quantization: how weights are stored, where there is no memory plan.
        kv_cache_dtype: how keys and values are stored, where there is no memory plan.
        tensor_parallel: GPUs that share the model, at least 1, where there is no memory plan: it counts their copies.

    Raises:
        ConfigurationError: the memory plan or config.json can't be used.
    """
    plan = annotations.get(MEMORY_PLAN_ANNOTATION)
    if plan is not None:
        return _from_plan(plan)
    config = Path(model) / "config.json"
    known = config.is_file()
    dimensions = _from_config(config) if known else _DEFAULT
    bits_per_weight, compute_bits = _bits(quantization)
    return SimulatedModel(
        facts=ModelFactsForSimulation(
            parameters=dimensions.parameters,
            active_parameters=dimensions.parameters,
            weights_bytes=int(dimensions.parameters * bits_per_weight / 8),
            kv_bytes_per_token=_kv_bytes_per_token(dimensions, kv_cache_dtype, tensor_parallel),
        ),
        compute_bits=compute_bits,
        context_tokens=dimensions.context_tokens if known else None,
    )


def _from_plan(text: str) -> SimulatedModel:
    try:
        plan: Any = json.loads(text)
        return SimulatedModel(
            facts=ModelFactsForSimulation(
                parameters=_integer(plan, "parameters"),
                active_parameters=_integer(plan, "activeParameters", _integer(plan, "parameters")),
                weights_bytes=_integer(plan, "weightsBytes"),
                kv_bytes_per_token=_integer(plan, "kvBytesPerToken"),
            ),
            compute_bits=_integer(plan, "computeBits", _COMPUTE_BITS),
            context_tokens=_integer(plan, "maxModelLen") if "maxModelLen" in plan else None,
            draft_bytes=_integer(plan, "draftBytes") if "draftBytes" in plan else 0,
        )
    except ValueError as error:
        raise ConfigurationError(f"annotation {MEMORY_PLAN_ANNOTATION}: {error}") from error


def _from_config(path: Path) -> _Dimensions:
    try:
        config: Any = json.loads(path.read_text())
        return _dimensions(config.get("text_config", config) if isinstance(config, dict) else config)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: {error}; a model that can't be read from there needs the annotation {MEMORY_PLAN_ANNOTATION}"
        ) from error


def _dimensions(config: Any) -> _Dimensions:
    heads, hidden = _integer(config, "num_attention_heads"), _integer(config, "hidden_size")
    if any(key in config for key in ("num_local_experts", "n_routed_experts", "num_experts", "kv_lora_rank")):
        raise ValueError("mixtures of experts and latent attention are not read from config.json")
    return _Dimensions(
        layers=_integer(config, "num_hidden_layers"),
        hidden=hidden,
        intermediate=_integer(config, "intermediate_size"),
        heads=heads,
        kv_heads=_integer(config, "num_key_value_heads", heads),
        head_dim=_integer(config, "head_dim", hidden // heads),
        vocabulary=_integer(config, "vocab_size"),
        tied=bool(config.get("tie_word_embeddings", False)),
        context_tokens=_integer(config, "max_position_embeddings"),
    )


def _kv_bytes_per_token(dimensions: _Dimensions, kv_cache_dtype: str, tensor_parallel: int) -> int:
    """Over all GPUs: each keeps its share of the KV heads, and one head at least, which then others keep too."""
    bits = next((bits for beginning, bits in _KV_CACHE_BITS.items() if kv_cache_dtype.startswith(beginning)), 16)
    heads_per_gpu = math.ceil(dimensions.kv_heads / tensor_parallel)
    return int(2 * dimensions.layers * heads_per_gpu * dimensions.head_dim * tensor_parallel * bits / 8)


def _bits(quantization: str | None) -> tuple[float, int]:
    for beginning, bits in _QUANTIZATION_BITS.items():
        if quantization is not None and quantization.startswith(beginning):
            return bits
    return 16, _COMPUTE_BITS


def _integer(values: Any, key: str, default: int | None = None) -> int:
    if not isinstance(values, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - reported like every other wrong value
    value = values.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{key}: must be a positive integer, is {value!r}")
    return value
