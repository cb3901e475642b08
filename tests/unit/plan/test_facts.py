import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.pool import ModelFacts
from mixserve.plan.facts import InvalidFacts, UnknownFacts, facts_by_variant, facts_from_config
from support.manifests import LLAMA_8B, LLAMA_70B, QWEN_32B, pool, variant

# As published, without keys that say nothing about size.
LLAMA_8B_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
    "tie_word_embeddings": False,
}
LLAMA_70B_CONFIG = LLAMA_8B_CONFIG | {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
QWEN_32B_CONFIG = {
    "model_type": "qwen3",
    "head_dim": 128,
    "hidden_size": 5120,
    "intermediate_size": 25600,
    "num_hidden_layers": 64,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "sliding_window": None,
    "use_sliding_window": False,
}


# 4 x 32768 are the 131072 of the configuration above; Qwen2.5 is published with 32768 beside it.
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def llama(**changes):
    return facts_from_config(LLAMA_8B_CONFIG | changes)


def without(*keys):
    return facts_from_config({key: value for key, value in LLAMA_8B_CONFIG.items() if key not in keys})


@pytest.mark.parametrize(
    ("config", "facts"),
    [(LLAMA_8B_CONFIG, LLAMA_8B), (LLAMA_70B_CONFIG, LLAMA_70B), (QWEN_32B_CONFIG, QWEN_32B)],
)
def test_a_published_config_gives_the_models_numbers(config, facts):
    assert facts_from_config(config) == facts


@pytest.mark.parametrize(
    ("config", "published"),
    # Sums over the tensors of model.safetensors.index.json.
    [(LLAMA_8B_CONFIG, 8_030_261_248), (LLAMA_70B_CONFIG, 70_553_706_496), (QWEN_32B_CONFIG, 32_762_123_264)],
)
def test_parameters_are_those_of_the_checkpoint_within_a_ten_thousandth(config, published):
    assert facts_from_config(config).parameters == pytest.approx(published, rel=1e-4)


def test_tied_embeddings_count_once():
    assert llama(tie_word_embeddings=True).tied_embeddings
    assert llama().parameters - llama(tie_word_embeddings=True).parameters == 128256 * 4096


def test_the_head_size_follows_from_the_width_unless_it_is_given():
    assert llama(head_dim=None).head_size == 128
    assert llama(head_dim=64).head_size == 64
    assert llama(head_dim=64, hidden_size=4100).head_size == 64


def test_qwen3_has_a_head_size_of_its_own_by_default():
    config = {key: value for key, value in QWEN_32B_CONFIG.items() if key != "head_dim"}

    assert facts_from_config(config).head_size == 128


def test_without_key_value_heads_every_head_has_its_own():
    assert without("num_key_value_heads").key_value_heads == 32
    assert llama(num_key_value_heads=None).key_value_heads == 32


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_local_experts": 8}, "mixture of experts"),
        ({"n_routed_experts": 256}, "mixture of experts"),
        ({"num_experts": 128}, "mixture of experts"),
        ({"kv_lora_rank": 512}, "latent attention"),
        ({"text_config": {"hidden_size": 1}}, "nested"),
        ({"model_type": "gemma3"}, "model_type 'gemma3'"),
        ({"model_type": ["llama"]}, "model_type ['llama']"),
        ({"model_type": None}, "model_type None"),
        ({"sliding_window": 4096}, "sliding window"),
        ({"sliding_window": 4096, "use_sliding_window": True}, "sliding window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding window"),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "RoPE scaling of type 'linear'"),
        ({"rope_scaling": None, "rope_parameters": {"rope_type": "dynamic"}}, "RoPE scaling of type 'dynamic'"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 1.0}}, "RoPE scaling of type 'longrope'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "RoPE scaling of type 'yarn'"),
        ({"rope_scaling": YARN, "max_position_embeddings": 32768}, "RoPE scaling of type 'yarn'"),
        ({"rope_scaling": YARN | {"factor": None}}, "RoPE scaling of type 'yarn'"),
        ({"rope_scaling": YARN | {"original_max_position_embeddings": 10**400}}, "RoPE scaling of type 'yarn'"),
    ],
)
def test_another_structure_is_unknown_and_says_what_it_is(changes, words):
    facts = llama(**changes)

    assert isinstance(facts, UnknownFacts)
    assert words in facts.detail
    assert "not supported yet" in facts.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"num_local_experts": 0},
        {"sliding_window": 4096, "use_sliding_window": False},
        {"layer_types": ["full_attention"] * 32, "sliding_window": 4096},
        {"rope_scaling": None},
        {"rope_scaling": "yarn"},
        {"rope_scaling": YARN},
        {"rope_scaling": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        {"rope_scaling": {"rope_type": ["linear"]}},
    ],
)
def test_keys_that_change_nothing_are_no_obstacle(changes):
    assert llama(**changes) == LLAMA_8B


@pytest.mark.parametrize("value", [-1, 0, 1.0, "32", True, float("nan"), None, [32], {}, 10**5, 10**400])
def test_a_hostile_number_is_refused_with_its_key(value):
    facts = llama(num_hidden_layers=value)

    assert isinstance(facts, InvalidFacts)
    assert len(facts.problems) == 1
    assert facts.problems[0].startswith("config.json: num_hidden_layers: ")
    assert len(facts.problems[0]) < 200


def test_all_problems_are_told_at_once():
    facts = facts_from_config({"model_type": "llama", "hidden_size": -1, "head_dim": 1.5, "vocab_size": 100})

    assert isinstance(facts, InvalidFacts)
    assert [problem.split(": ")[1].split(" ")[0] for problem in facts.problems] == [
        *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim"),
        "max_position_embeddings",
    ]
    assert "config.json: intermediate_size is missing" in facts.problems


def test_heads_that_do_not_divide_are_told_at_once():
    facts = llama(num_attention_heads=30, num_key_value_heads=8)

    assert facts == InvalidFacts(
        (
            "config.json: num_attention_heads (30) does not divide hidden_size (4096), and there is no head_dim",
            "config.json: num_key_value_heads (8) does not divide num_attention_heads (30)",
        )
    )


def test_dimensions_within_bounds_may_still_make_an_absurd_model():
    facts = llama(intermediate_size=10**9, num_hidden_layers=10**4)

    assert isinstance(facts, InvalidFacts)
    assert "which no model has" in facts.problems[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from([*LLAMA_8B_CONFIG, "rope_parameters", "head_dim", "layer_types", "sliding_window"]), JSON
    )
)
def test_whatever_config_json_says_there_is_an_answer(changes):
    assert isinstance(llama(**changes), ModelFacts | UnknownFacts | InvalidFacts)


def test_facts_of_the_spec_hold_for_every_variant():
    facts = json.loads(LLAMA_8B.model_dump_json(by_alias=True))
    manifest = pool(variant("a"), variant("b"), model={"source": "host:///m", "facts": facts})

    assert facts_by_variant(manifest, {"host:///m": LLAMA_70B_CONFIG}) == {"a": LLAMA_8B, "b": LLAMA_8B}


def test_each_variant_has_the_facts_of_its_own_source():
    manifest = pool(variant("a"), variant("b", source="host:///other"), model={"source": "host:///m"})

    found = facts_by_variant(manifest, {"host:///m": LLAMA_8B_CONFIG, "host:///other": LLAMA_70B_CONFIG})

    assert found == {"a": LLAMA_8B, "b": LLAMA_70B}


@pytest.mark.parametrize("configs", [{}, {"host:///m": None}])
def test_a_config_that_can_not_be_read_is_unknown(configs):
    found = facts_by_variant(pool(model={"source": "host:///m"}), configs)

    assert found == {"main": UnknownFacts("config.json of host:///m can't be read by the operator")}
