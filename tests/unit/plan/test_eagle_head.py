from __future__ import annotations

from typing import Any

import pytest

from mixserve.plan.config_keys import InvalidConfigError
from mixserve.plan.eagle_head import head_facts, is_eagle3_head, target_hidden_size
from support.pairs import DRAFT_CONFIG, HEAD_CONFIG, MODEL_CONFIG


def test_a_published_head_has_its_published_size() -> None:
    """EAGLE3-LLaMA3.1-Instruct-8B: 850 MB in 16 bits."""
    facts = head_facts(HEAD_CONFIG)
    assert facts.parameters * 2 == pytest.approx(850e6, rel=0.01)
    assert (facts.layers, facts.vocabulary_size, facts.tied_embeddings) == (1, 32000, True)
    assert (facts.attention_heads, facts.key_value_heads, facts.head_size) == (32, 8, 128)


def test_a_head_without_a_vocabulary_of_its_own_has_the_models() -> None:
    facts = head_facts({**HEAD_CONFIG, "draft_vocab_size": None})
    assert facts.vocabulary_size == 128256
    assert facts.parameters - head_facts(HEAD_CONFIG).parameters == (128256 - 32000) * 4096


def test_a_narrower_head_reads_the_models_wide_hidden_states() -> None:
    narrow = {**HEAD_CONFIG, "hidden_size": 2048, "target_hidden_size": 4096, "num_key_value_heads": None}
    facts = head_facts(narrow)
    fc = 3 * 4096 * 2048
    assert facts.parameters == fc + 2048 * 64 * 96 * 2 + 2048 * 2048 + 3 * 2048 * 14336 + 32000 * 2048
    assert target_hidden_size(narrow) == 4096


def test_a_head_may_be_nested() -> None:
    """As the library Speculators writes it."""
    nested = {key: HEAD_CONFIG[key] for key in HEAD_CONFIG if key not in {"architectures", "draft_vocab_size"}}
    config = {"speculators_model_type": "eagle3", "draft_vocab_size": 32000, "transformer_layer_config": nested}
    assert is_eagle3_head(config)
    assert head_facts(config) == head_facts(HEAD_CONFIG)
    assert target_hidden_size(config) == 4096


@pytest.mark.parametrize(
    ("config", "is_head"),
    [
        (HEAD_CONFIG, True),
        ({"draft_vocab_size": 32000}, True),
        ({"architectures": ["Eagle3LlamaForCausalLM"]}, True),
        ({"speculators_model_type": "eagle3"}, True),
        (MODEL_CONFIG, False),
        (DRAFT_CONFIG, False),
        ({}, False),
        ({"architectures": "Eagle3"}, False),
        ({"architectures": [7, None]}, False),
    ],
)
def test_a_head_is_told_from_a_model(config: dict[str, Any], is_head: bool) -> None:
    assert is_eagle3_head(config) is is_head


@pytest.mark.parametrize("config", [{}, {"hidden_size": "4096"}, {"hidden_size": True}])
def test_a_hidden_size_that_is_none_is_not_known(config: dict[str, Any]) -> None:
    assert target_hidden_size(config) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"hidden_size": None}, "the draft's config.json: hidden_size"),
        ({"num_hidden_layers": -1}, "the draft's config.json: num_hidden_layers"),
        ({"num_key_value_heads": 7}, "the draft's config.json: its dimensions are those of no head"),
    ],
)
def test_what_is_no_head_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidConfigError, match=problem):
        head_facts({**HEAD_CONFIG, **change})
