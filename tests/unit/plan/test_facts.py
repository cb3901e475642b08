import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.model_facts import ModelFacts, SlidingWindow
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.checkpoint_size import INDEX
from mixserve.plan.facts import InvalidFacts, UnknownFacts, facts_by_variant, facts_from_config
from mixserve.plan.model_source import Repository
from support.manifests import LLAMA_8B, LLAMA_70B, QWEN_32B, pool, variant
from support.model_configs import LLAMA_3_1_8B

# As published, without keys that say nothing about size.
LLAMA_8B_CONFIG = {
    **LLAMA_3_1_8B,
    "architectures": ["LlamaForCausalLM"],
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
        ({"model_type": "gemma3n"}, "model_type 'gemma3n'"),
        ({"model_type": ["llama"]}, "model_type ['llama']"),
        ({"model_type": None}, "has no model_type"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"sliding_window": 4096, "use_sliding_window": True}, "sliding_window"),
        ({"layer_types": ["full_attention", "linear_attention"]}, "layers of type 'linear_attention'"),
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


MIXTURE_CONFIG = {
    key: value for key, value in LLAMA_8B_CONFIG.items() if key not in {"architectures", "rope_scaling"}
} | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
LATENT_CONFIG = MIXTURE_CONFIG | {
    "model_type": "deepseek_v3",
    "n_routed_experts": 64,
    "moe_intermediate_size": 1024,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}
EYES = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "image_size": 896,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "patch_size": 14,
}
SEEING_CONFIG = {"model_type": "gemma3", "text_config": {"vocab_size": 262144}, "vision_config": EYES}


class TestMixtures:
    def test_experts_that_a_token_leaves_out_are_not_active(self):
        facts = facts_from_config(MIXTURE_CONFIG)
        expert = 3 * 4096 * 14336

        assert facts.expert_parameters == 32 * 8 * expert
        assert facts.parameters - facts.active_parameters == 32 * 6 * expert

    def test_no_token_uses_more_experts_than_there_are(self):
        assert facts_from_config(MIXTURE_CONFIG | {"num_experts_per_tok": 100}).active_parameters is None

    @pytest.mark.parametrize(
        ("changes", "layers"),
        [
            ({}, 32),
            ({"first_k_dense_replace": 3}, 29),
            ({"first_k_dense_replace": 3, "moe_layer_freq": 2}, 14),
            ({"decoder_sparse_step": 2}, 16),
            ({"interleave_moe_layer_step": 4}, 8),
            ({"mlp_only_layers": [0, 31, 99]}, 30),
            ({"moe_layers": [0, 2, 2, 99]}, 2),
            ({"moe_layers": None, "mlp_only_layers": None}, 32),
        ],
    )
    def test_not_all_layers_need_have_experts(self, changes, layers):
        facts = facts_from_config(MIXTURE_CONFIG | changes)

        assert facts.expert_parameters == layers * 8 * 3 * 4096 * 14336

    def test_missing_keys_are_called_as_in_the_models_own_configuration(self):
        config = {key: value for key, value in LATENT_CONFIG.items() if "experts" not in key and "v_head" not in key}

        assert facts_from_config(config) == InvalidFacts(
            (
                "config.json: n_routed_experts is missing",
                "config.json: num_experts_per_tok is missing",
                "config.json: v_head_dim is missing",
            )
        )

    def test_a_mixture_with_latent_attention_that_its_family_does_not_have_is_unknown(self):
        assert facts_from_config(MIXTURE_CONFIG | {"kv_lora_rank": 512}) == UnknownFacts(
            "config.json has kv_lora_rank: it uses multi-head latent attention, which is not supported yet"
        )

    def test_latent_attention_keeps_one_vector(self):
        facts = facts_from_config(LATENT_CONFIG | {"q_lora_rank": 1536})

        assert facts.latent_size == 512 + 64
        assert (facts.key_value_heads, facts.head_size) == (32, 192)
        queries = 1536 * (4096 + 32 * 192)
        assert facts.attention_parameters == 32 * (queries + 4096 * 576 + 512 * 32 * (128 + 128) + 32 * 128 * 4096)


class TestWindows:
    def test_layers_say_themselves_what_they_are(self):
        layers = ["sliding_attention", "full_attention", "chunked_attention", "full_attention"] * 8

        facts = llama(layer_types=layers, sliding_window=512)

        assert facts.sliding_window == SlidingWindow(tokens=512, layers=8)

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"layer_types": ["full_attention"] * 31}, "layer_types has 31 entries for 32 layers"),
            ({"layer_types": ["sliding_attention"] * 32}, "layer_types has sliding_attention, and sliding_window is"),
            ({"layer_types": ["sliding_attention"] * 32, "sliding_window": 0}, "sliding_window is missing"),
            ({"layer_types": [1]}, "layer_types.0: input should be a valid string, but it is 1"),
            ({"sliding_window": -1}, "sliding_window: input should be greater than or equal to 0, but it is -1"),
        ],
    )
    def test_contradictions_are_refused(self, changes, problem):
        facts = llama(**changes)

        assert isinstance(facts, InvalidFacts)
        assert problem in facts.problems[0]

    def test_a_pattern_may_be_given(self):
        config = SEEING_CONFIG["text_config"] | {"model_type": "gemma3_text", "sliding_window_pattern": 2}

        assert facts_from_config(config).sliding_window.layers == 13


class TestModelsThatSee:
    def test_what_sees_is_counted_and_not_active(self):
        facts = facts_from_config(SEEING_CONFIG)
        blind = facts_from_config(SEEING_CONFIG["text_config"] | {"model_type": "gemma3_text"})

        assert 400_000_000 < facts.vision_parameters < 430_000_000
        assert facts.active_parameters == blind.parameters == facts.parameters - facts.vision_parameters

    @pytest.mark.parametrize("changes", [{"vision_config": None}, {"vision_config": {}}])
    def test_nothing_need_see(self, changes):
        assert facts_from_config(SEEING_CONFIG | changes).vision_parameters is None

    def test_ties_may_be_said_outside(self):
        untied = facts_from_config(SEEING_CONFIG | {"tie_word_embeddings": False})

        assert not untied.tied_embeddings

    def test_problems_of_both_parts_are_told_at_once(self):
        config = {
            "model_type": "gemma3",
            "text_config": {"hidden_size": "x"},
            "vision_config": EYES | {"patch_size": 0},
        }

        assert facts_from_config(config) == InvalidFacts(
            (
                "config.json: hidden_size: input should be a valid integer, but it is 'x'",
                "config.json: vision_config: patch_size: input should be greater than or equal to 1, but it is 0",
            )
        )

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"text_config": None}, "text_config must be an object, but it is None"),
            ({"text_config": [1]}, "text_config must be an object, but it is [1]"),
            ({"vision_config": "x"}, "vision_config must be an object, but it is 'x'"),
        ],
    )
    def test_parts_that_are_none_are_refused(self, changes, problem):
        assert facts_from_config(SEEING_CONFIG | changes) == InvalidFacts((f"config.json: {problem}",))

    @pytest.mark.parametrize("changes", [{"model_type": "clip_vision_model"}, {"vision_use_head": True}])
    def test_what_sees_in_another_way_is_unknown(self, changes):
        facts = facts_from_config(SEEING_CONFIG | {"vision_config": EYES | changes})

        assert isinstance(facts, UnknownFacts)
        assert "vision_config of model_type" in facts.detail


def test_the_size_of_the_checkpoint_is_taken_from_its_index():
    assert llama(**{INDEX: {"metadata": {"total_size": 9_080_000_000}}}).checkpoint_bytes == 9_080_000_000


def test_null_is_absence_unless_the_key_is_needed():
    assert llama(tie_word_embeddings=None, layer_types=None, use_sliding_window=None) == LLAMA_8B
    assert isinstance(llama(hidden_size=None), InvalidFacts)


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


@given(
    st.sampled_from([MIXTURE_CONFIG, LATENT_CONFIG, SEEING_CONFIG]),
    st.dictionaries(
        st.sampled_from(
            [
                *LATENT_CONFIG,
                *SEEING_CONFIG,
                *(
                    "rope_parameters",
                    "layer_types",
                    "sliding_window",
                    "moe_layers",
                    "mlp_only_layers",
                    "moe_layer_freq",
                ),
                *("n_shared_experts", "first_k_dense_replace", "sliding_window_pattern", "q_lora_rank"),
            ]
        ),
        JSON,
    ),
)
def test_whatever_a_mixture_or_a_nested_config_says_there_is_an_answer(config, changes):
    assert isinstance(facts_from_config(config | changes), ModelFacts | UnknownFacts | InvalidFacts)


@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["hidden_size", "vocab_size", "layer_types"]), JSON))
def test_whatever_a_nested_part_says_there_is_an_answer(text):
    facts = facts_from_config(SEEING_CONFIG | {"text_config": text, "vision_config": EYES | text})

    assert isinstance(facts, ModelFacts | UnknownFacts | InvalidFacts)


def test_facts_of_the_spec_hold_for_every_variant():
    facts = json.loads(LLAMA_8B.model_dump_json(by_alias=True))
    manifest = pool(variant("a"), variant("b"), model={"source": "host:///m", "facts": facts})

    assert facts_by_variant(manifest, {Repository("host:///m"): LLAMA_70B_CONFIG}) == {"a": LLAMA_8B, "b": LLAMA_8B}


def test_each_variant_has_the_facts_of_its_own_source():
    manifest = pool(variant("a"), variant("b", source="host:///other"), model={"source": "host:///m"})

    found = facts_by_variant(
        manifest, {Repository("host:///m"): LLAMA_8B_CONFIG, Repository("host:///other"): LLAMA_70B_CONFIG}
    )

    assert found == {"a": LLAMA_8B, "b": LLAMA_70B}


@pytest.mark.parametrize("configs", [{}, {Repository("host:///m"): None}])
def test_a_config_that_can_not_be_read_is_unknown(configs):
    found = facts_by_variant(pool(model={"source": "host:///m"}), configs)

    assert found == {"main": UnknownFacts("config.json of host:///m can't be read by the operator")}


def test_why_a_config_is_not_there_goes_with_it():
    repository = Repository("pvc://models/m")
    absence = Absence(outlook=Outlook.SOON, detail="it is being read", remedy="wait")

    found = facts_by_variant(pool(model={"source": "pvc://models/m"}), {}, {repository: absence})

    assert found == {"main": UnknownFacts("it is being read", "wait", Outlook.SOON)}


def test_why_it_was_not_there_does_not_matter_once_it_is():
    repository = Repository("host:///m")
    absence = Absence(outlook=Outlook.NOT_THERE, detail="there is none", remedy="correct it")

    found = facts_by_variant(pool(model={"source": "host:///m"}), {repository: LLAMA_8B_CONFIG}, {repository: absence})

    assert found == {"main": LLAMA_8B}
