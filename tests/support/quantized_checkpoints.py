"""A `quantization_config` for each way of storing weights that the catalogue names, as public checkpoints have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def _compressed(
    layout: str,
    weights: Mapping[str, Any],
    activations: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """As llm-compressor writes it."""
    group = {
        "targets": ["Linear"],
        "weights": {"symmetric": True, "dynamic": False, **weights},
        "input_activations": activations,
        "output_activations": None,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": layout,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
    }


_PER_TOKEN = {"strategy": "token", "symmetric": True, "dynamic": True}
_FP8_PER_TOKEN = {"num_bits": 8, "type": "float", **_PER_TOKEN}
_INT8_PER_TOKEN = {"num_bits": 8, "type": "int", **_PER_TOKEN}
_INT4_GROUPS = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}
_MX_SCALES = {"strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8", "zp_dtype": "torch.uint8"}
_NVFP4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
_QUARK_CHANNEL = {"is_dynamic": False, "qscheme": "per_channel", "ch_axis": 0, "symmetric": True, "group_size": None}
_QUARK_TENSOR = {"is_dynamic": False, "qscheme": "per_tensor", "ch_axis": None, "symmetric": True, "group_size": None}


def _quark(weight: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    whole = {"weight": weight, "input_tensors": inputs, "output_tensors": None, "bias": None, "target_device": None}
    return {
        "quant_method": "quark",
        "global_quant_config": whole,
        "exclude": ["lm_head"],
        "layer_quant_config": {},
        "layer_type_quant_config": {},
        "export": {"kv_cache_group": [], "pack_method": "order", "weight_format": "real_quantized"},
    }


def _modelopt(algorithm: str, **more: Any) -> dict[str, Any]:
    producer = {"name": "modelopt", "version": "0.33.0"}
    return {
        "quant_method": "modelopt",
        "quant_algo": algorithm,
        "producer": producer,
        "exclude_modules": ["lm_head"],
        "ignore": ["lm_head"],
        "kv_cache_quant_algo": None,
        **more,
    }


QUANTIZATION_CONFIGS: Mapping[str, dict[str, Any]] = {
    "fp8:fp8": {"quant_method": "fp8", "activation_scheme": "dynamic"},
    "fp8:fp8-block": {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "weight_block_size": [128, 128],
    },
    "compressed-tensors:fp8": _compressed(
        "float-quantized", {"num_bits": 8, "type": "float", "strategy": "channel"}, _FP8_PER_TOKEN
    ),
    "compressed-tensors:fp8-block": _compressed(
        "float-quantized",
        {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]},
        {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 128, "symmetric": True, "dynamic": True},
    ),
    "compressed-tensors:mxfp8": _compressed(
        "mxfp8-quantized",
        {"num_bits": 8, "type": "float", **_MX_SCALES},
        {"num_bits": 8, "type": "float", "symmetric": True, "dynamic": True, **_MX_SCALES},
    ),
    "compressed-tensors:nvfp4": _compressed(
        "nvfp4-pack-quantized", _NVFP4, {**_NVFP4, "symmetric": True, "dynamic": "local"}
    ),
    "compressed-tensors:w4a16": _compressed("pack-quantized", _INT4_GROUPS),
    "compressed-tensors:w8a8": _compressed(
        "int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel"}, _INT8_PER_TOKEN
    ),
    "compressed-tensors:w4afp8": _compressed("pack-quantized", _INT4_GROUPS, _FP8_PER_TOKEN),
    "modelopt:fp8": _modelopt("FP8"),
    "modelopt:fp8-block": _modelopt("FP8_PB_WO"),
    "modelopt:mxfp8": _modelopt("MXFP8"),
    "modelopt:nvfp4": _modelopt("NVFP4", group_size=16),
    "modelopt:w4a16": _modelopt("W4A16_AWQ", group_size=128, has_zero_point=False, pre_quant_scale=True),
    "quark:fp8": _quark({"dtype": "fp8_e4m3", **_QUARK_TENSOR}, {"dtype": "fp8_e4m3", **_QUARK_TENSOR}),
    "quark:w8a8": _quark({"dtype": "int8", **_QUARK_CHANNEL}, {"dtype": "int8", **_QUARK_TENSOR}),
    "mxfp4": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]},
    "mxfp8": {"quant_method": "mxfp8", "modules_to_not_convert": ["lm_head"]},
    "awq:w4a16": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
    "gptq:w4a16": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "auto-round:w4a16": {
        "quant_method": "auto-round",
        "bits": 4,
        "group_size": 128,
        "sym": True,
        "data_type": "int",
        "packing_format": "auto_round:auto_gptq",
    },
}
"""By method:scheme, as `spec.checkpoint.quantMethods` of a QuantizationFormat has it."""
