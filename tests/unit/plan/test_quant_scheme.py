import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.plan.quant_scheme import scheme_of


def group(bits, kind, *, strategy="channel", size=None, inputs=None):
    weights = {"num_bits": bits, "type": kind, "strategy": strategy, "group_size": size}
    return {"targets": ["Linear"], "weights": weights, "input_activations": inputs}


FP8_INPUTS = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}
INT8_INPUTS = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True}


@pytest.mark.parametrize(
    ("weights", "scheme"),
    [
        (group(8, "float", inputs=FP8_INPUTS), "fp8"),
        (group(8, "float", strategy="tensor"), "fp8"),
        (group(8, "float", strategy="block", inputs=FP8_INPUTS), "fp8-block"),
        (group(8, "float", strategy="group", size=32), "mxfp8"),
        (group(4, "float", strategy="tensor_group", size=16), "nvfp4"),
        (group(4, "float", strategy="group", size=32), "mxfp4"),
        (group(4, "float", strategy="group", size=64), None),
        (group(4, "float", strategy="group", size="16"), None),
        (group(6, "float"), None),
        (group(4, "int", strategy="group", size=128), "w4a16"),
        (group(8, "int"), "w8a16"),
        (group(8, "int", inputs=INT8_INPUTS), "w8a8"),
        (group(4, "int", strategy="group", size=128, inputs=INT8_INPUTS), "w4a8"),
        (group(4, "int", strategy="group", size=128, inputs=FP8_INPUTS), "w4afp8"),
        (group(3, "int"), None),
        ({"targets": ["Linear"]}, None),
        ("Linear", None),
    ],
)
def test_compressed_tensors_say_types_and_bits(weights, scheme):
    assert scheme_of("compressed-tensors", {"config_groups": {"group_0": weights}}) == scheme


def test_layers_that_differ_have_no_scheme_and_layers_that_agree_have_one():
    int4, fp8 = group(4, "int", size=128), group(8, "float")

    assert scheme_of("compressed-tensors", {"config_groups": {"a": int4, "b": fp8}}) is None
    assert scheme_of("compressed-tensors", {"config_groups": {"a": int4, "b": int4}}) == "w4a16"
    assert scheme_of("compressed-tensors", {"config_groups": {}}) is None
    assert scheme_of("compressed-tensors", {"format": "pack-quantized"}) is None


@pytest.mark.parametrize(
    ("method", "described", "scheme"),
    [
        ("fp8", {"weight_block_size": [128, 128]}, "fp8-block"),
        ("fp8", {"activation_scheme": "static"}, "fp8"),
        ("awq", {"bits": 4}, "w4a16"),
        ("awq", {"w_bit": 4}, "w4a16"),
        ("gptq", {"bits": 8}, "w8a16"),
        ("gptq", {}, None),
        ("auto-round", {"bits": 4}, "w4a16"),
        ("quark", {"global_quant_config": {"weight": {"dtype": "int8"}, "input_tensors": {"dtype": "int8"}}}, "w8a8"),
        ("quark", {"global_quant_config": {"weight": {"dtype": "fp8_e4m3"}, "input_tensors": None}}, "fp8"),
        ("quark", {"global_quant_config": {"weight": {"dtype": "bf16"}}}, None),
        ("quark", {"global_quant_config": {"weight": {"dtype": ["int8"]}}}, None),
        ("quark", {"global_quant_config": {"weight": "int8"}}, None),
        ("quark", {}, None),
        ("modelopt", {"quant_algo": "NVFP4"}, "nvfp4"),
        ("modelopt", {"quant_algo": "NVFP4_AWQ"}, "nvfp4"),
        ("modelopt", {"quant_algo": "MXFP8"}, "mxfp8"),
        ("modelopt", {"quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"}, "fp8"),
        ("modelopt", {"quantization": {"quant_algo": "FP8_PB_WO"}}, "fp8-block"),
        ("modelopt", {"quant_algo": "W8A8_SQ_PER_CHANNEL"}, "w8a8"),
        ("modelopt", {"quant_algo": "MIXED_PRECISION"}, "mixed-precision"),
        ("modelopt", {"quant_algo": None}, None),
        ("mxfp4", {"bits": 4}, None),
    ],
)
def test_other_methods_say_it_in_their_own_ways(method, described, scheme):
    assert scheme_of(method, described) == scheme


METHODS = st.sampled_from(["compressed-tensors", "fp8", "awq", "gptq", "auto-round", "quark", "modelopt", "other"])
KEYS = st.sampled_from(
    [
        *("config_groups", "weights", "input_activations", "num_bits", "type", "strategy", "group_size", "bits"),
        *("global_quant_config", "weight", "input_tensors", "dtype", "quantization", "quant_algo", "weight_block_size"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["float", "int", "int8", "block", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(METHODS, st.dictionaries(KEYS, JSON))
def test_whatever_is_described_there_is_an_answer(method, described):
    assert isinstance(scheme_of(method, described), str | None)
