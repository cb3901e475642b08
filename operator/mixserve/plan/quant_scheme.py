"""What a checkpoint's quantization method stores: types and bits, from its part of config.json (any JSON).

A scheme is a word that manifests of formats use: fp8, fp8-block, mxfp8, nvfp4, mxfp4, and for integers w4a16, w8a16,
w8a8 and w4afp8 (weights of 4 bits, activations in FP8). None where it can't be told, or differs between layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

_Described = Mapping[str, Any]

# Microscaling formats share a scale of 8 bits between 32 numbers (OCP MX 1.0), NVIDIA's own between 16.
_MX_GROUP = 32
_NVFP4_GROUP = 16


def scheme_of(method: str, described: _Described) -> str | None:
    """The scheme of a method.

    Args:
        method: in lower case, as `Checkpoint.quant_methods` has it before the colon.
        described: the decoded `quantization_config`.
    """
    read = _READERS.get(method)
    return None if read is None else read(described)


def _compressed_tensors(described: _Described) -> str | None:
    groups = described.get("config_groups")
    if not isinstance(groups, Mapping):
        return None
    schemes = {_of_group(group) for group in groups.values()}
    return schemes.pop() if len(schemes) == 1 else None


def _of_group(group: object) -> str | None:
    if not isinstance(group, Mapping) or not isinstance(group.get("weights"), Mapping):
        return None
    weights, activations = group["weights"], group.get("input_activations")
    if weights.get("type") == "float":
        return _float_scheme(weights.get("num_bits"), weights.get("strategy"), weights.get("group_size"))
    inputs = activations if isinstance(activations, Mapping) else {}
    return _integer_scheme(weights.get("num_bits"), inputs.get("num_bits"), inputs.get("type"))


def _float_scheme(bits: object, strategy: object, group_size: object) -> str | None:
    if bits == 8:  # noqa: PLR2004 - as config.json has it
        if group_size == _MX_GROUP:
            return "mxfp8"
        return "fp8-block" if strategy == "block" else "fp8"
    # FP4 has no other group sizes.
    fp4_by_group = {_NVFP4_GROUP: "nvfp4", _MX_GROUP: "mxfp4"}
    return fp4_by_group.get(group_size) if bits == 4 and isinstance(group_size, int) else None  # noqa: PLR2004 - as above


def _integer_scheme(bits: object, activation_bits: object, activation_type: object) -> str | None:
    weights = next((f"w{known}" for known in (4, 8) if bits == known), None)
    if weights is None:
        return None
    if activation_bits is None:
        return f"{weights}a16"
    return f"{weights}afp8" if activation_type == "float" else f"{weights}a8"


def _fp8(described: _Described) -> str:
    return "fp8-block" if described.get("weight_block_size") else "fp8"


def _weight_only(described: _Described) -> str | None:
    """AWQ and GPTQ in their own layouts."""
    return _integer_scheme(described.get("bits", described.get("w_bit")), None, None)


def _quark(described: _Described) -> str | None:
    whole = described.get("global_quant_config")
    weight = whole.get("weight") if isinstance(whole, Mapping) else None
    if not isinstance(whole, Mapping) or not isinstance(weight, Mapping):
        return None
    inputs = whole.get("input_tensors")
    stored = (weight.get("dtype"), inputs.get("dtype") if isinstance(inputs, Mapping) else None)
    return _QUARK_SCHEMES.get(stored) if all(isinstance(name, str | None) for name in stored) else None


_QUARK_SCHEMES: Mapping[tuple[str | None, str | None], str] = {
    ("fp8_e4m3", "fp8_e4m3"): "fp8",
    ("fp8_e4m3", None): "fp8",
    ("fp4", "fp4"): "mxfp4",
    ("fp4", None): "mxfp4",
    ("int8", "int8"): "w8a8",
    ("int8", None): "w8a16",
    ("int4", None): "w4a16",
    ("uint4", None): "w4a16",
}


def _modelopt(described: _Described) -> str | None:
    """hf_quant_config.json has it below `quantization`, config.json beside the method."""
    inner = described.get("quantization")
    algorithm = (inner if isinstance(inner, Mapping) else described).get("quant_algo")
    if not isinstance(algorithm, str):
        return None
    return _MODELOPT_SCHEMES.get(algorithm.upper(), algorithm.lower().replace("_", "-"))


_MODELOPT_SCHEMES = {
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
    "FP8_PB_WO": "fp8-block",
    "FP8_BLOCK_SCALES": "fp8-block",
    # Scales found with AWQ, stored as any other NVFP4.
    "NVFP4_AWQ": "nvfp4",
    "W4A16_AWQ": "w4a16",
    "W4A16_GPTQ": "w4a16",
    "W4A8_AWQ": "w4afp8",
    "W8A8_SQ_PER_CHANNEL": "w8a8",
}
"""Values of quant_algo; the others are schemes already, as FP8, NVFP4 and MXFP8 are."""

_READERS: Mapping[str, Callable[[_Described], str | None]] = MappingProxyType(
    {
        "compressed-tensors": _compressed_tensors,
        "fp8": _fp8,
        "awq": _weight_only,
        "gptq": _weight_only,
        "auto-round": _weight_only,
        "quark": _quark,
        "modelopt": _modelopt,
    }
)
