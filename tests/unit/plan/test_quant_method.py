import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.plan.model_source import Repository
from mixserve.plan.quant_method import UNQUANTIZED, is_one_of, quant_method, quant_methods_by_variant
from support.manifests import pool, variant


def described(**quantization):
    return {"model_type": "llama", "quantization_config": quantization}


@pytest.mark.parametrize("config", [{}, {"quantization_config": None}, {"text_config": {}}, {"text_config": None}])
def test_a_checkpoint_without_a_description_is_not_quantized(config):
    assert quant_method(config) == UNQUANTIZED


@pytest.mark.parametrize(
    ("config", "method"),
    [
        (described(quant_method="awq", bits=4, group_size=128), "awq:w4a16"),
        (described(quant_method="awq"), "awq"),
        (described(quant_method="FP8", activation_scheme="dynamic"), "fp8:fp8"),
        (described(quant_method="mxfp4"), "mxfp4"),
        (described(quant_method="compressed_tensors", format="float-quantized"), "compressed-tensors"),
        ({"text_config": described(quant_method="compressed-tensors")}, "compressed-tensors"),
        ({"compression_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        (described(quant_method="modelopt", quant_algo="FP8"), "modelopt:fp8"),
        (described(quant_method="modelopt"), "modelopt"),
        (described(quant_method="modelopt", quant_algo="NVFP4"), "modelopt:nvfp4"),
        (described(quant_method="modelopt_fp4", quant_algo="NVFP4"), "modelopt:nvfp4"),
        # As in the hf_quant_config.json of older versions of ModelOpt.
        (described(producer={"name": "modelopt"}, quantization={"quant_algo": "FP8_PB_WO"}), "modelopt:fp8-block"),
        (described(producer={"name": "modelopt"}, quantization={"quant_algo": "W4A16_AWQ"}), "modelopt:w4a16"),
    ],
)
def test_the_method_is_named_as_engines_read_it(config, method):
    assert quant_method(config) == method


@pytest.mark.parametrize(
    "config",
    [
        {"quantization_config": "awq"},
        described(),
        described(bits=4),
        described(quant_method=4),
        described(producer={"name": "somebody"}),
        described(producer="modelopt"),
        described(quant_method="a" * 64),
        described(quant_method="awq\n"),
        described(quant_method="modelopt", quant_algo="NVFP4 and more"),
    ],
)
def test_what_says_nothing_of_its_method_is_not_known(config):
    assert quant_method(config) is None


KEYS = st.sampled_from(
    [
        *("quantization_config", "compression_config", "text_config"),
        *("quant_method", "producer", "name", "quantization", "quant_algo"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.sampled_from(["modelopt", "awq", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, JSON))
def test_whatever_config_json_says_there_is_an_answer(config):
    assert isinstance(quant_method(config), str | None)


def test_each_variant_has_the_method_of_its_own_source():
    manifest = pool(
        variant("a"),
        variant("b", source="host:///quantized"),
        variant("c", source="host:///unreadable"),
        variant("d", source="pvc://volume"),
        model={"source": "host:///plain"},
    )
    configs = {
        Repository("host:///plain"): {},
        Repository("host:///quantized"): described(quant_method="awq"),
        Repository("host:///unreadable"): None,
    }

    found = quant_methods_by_variant(manifest, configs)

    assert found == {"a": UNQUANTIZED, "b": "awq", "c": None, "d": None}


@pytest.mark.parametrize(
    ("found", "expected", "agree"),
    [
        ("awq:w4a16", ["awq:w4a16"], True),
        ("compressed-tensors:w4a16", ["fp8:fp8", "compressed-tensors:fp8"], False),
        ("compressed-tensors:w4a16", ["compressed-tensors"], True),
        ("compressed-tensors", ["compressed-tensors:fp8"], True),
        ("fp8:fp8-block", ["fp8:fp8"], False),
        ("awq", ["gptq"], False),
        ("awq", [], False),
    ],
)
def test_a_missing_scheme_agrees_with_every_other(found, expected, agree):
    assert is_one_of(found, expected) is agree
