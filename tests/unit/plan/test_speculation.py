from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.model_facts import ModelFacts
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.speculation import match_of, pair_of, speculation_by_variant
from mixserve.plan.tokenizer import Verdict
from support.manifests import LLAMA_8B, pool, variant
from support.pairs import DRAFT_CONFIG, HEAD_CONFIG, MODEL_CONFIG, TOKENIZER, pair, speculations

POOL = pool(speculativePairRef={"name": "pair"})


def only(found: dict[str, Any]) -> Any:
    (one,) = found.values()
    return one


def test_a_pool_without_a_pair_speculates_not() -> None:
    found = speculation_by_variant(pool(), pairs={"pair": pair()}, configs={}, catalog=built_in_catalog())
    assert found == {}
    assert pair_of(POOL, {"other": pair()}) is None
    assert speculation_by_variant(POOL, pairs={}, configs={}, catalog=built_in_catalog()) == {}


def test_a_method_without_a_draft_needs_no_files() -> None:
    found = only(speculations(POOL, pair("NGram"), target=None))
    assert (found.name, found.draft, found.draft_facts, found.draft_format) == ("pair", None, None, None)
    assert found.tokenizer_match.verdict is Verdict.TRUE


def test_a_drafts_numbers_are_read_from_its_config() -> None:
    found = only(speculations(POOL, pair("DraftModel")))
    assert isinstance(found.draft_facts, ModelFacts)
    assert found.draft_facts.parameters == 1_235_814_400
    assert found.draft_method == ""
    assert found.tokenizer_match.verdict is Verdict.TRUE


def test_a_head_is_read_as_one() -> None:
    found = only(speculations(POOL, pair("EAGLE3"), draft=HEAD_CONFIG))
    assert isinstance(found.draft_facts, ModelFacts)
    assert found.draft_facts.vocabulary_size == 32000
    wrong = only(speculations(POOL, pair("EAGLE3"), draft={"hidden_size": -1}))
    assert isinstance(wrong.draft_facts, InvalidFacts)


def test_numbers_that_are_given_count() -> None:
    given = pair("DraftModel", draft={"source": "pvc://drafts/one", "facts": LLAMA_8B.to_wire()})
    assert only(speculations(POOL, given, draft=None)).draft_facts == LLAMA_8B


def test_what_cannot_be_read_is_unknown() -> None:
    found = only(speculations(POOL, pair("DraftModel"), draft=None))
    assert found.draft_facts == UnknownFacts("config.json of the draft pvc://drafts/one can't be read by the operator")
    assert found.draft_method is None
    assert found.tokenizer_match.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}, "4.156"),
        ({"quant_method": "fp8"}, "8"),
        ({"quant_method": "of_another_planet"}, None),
    ],
)
def test_a_quantized_draft_has_a_format_of_the_catalogue(quantization: dict[str, Any], bits: str | None) -> None:
    found = only(speculations(POOL, pair("DraftModel"), draft={**DRAFT_CONFIG, "quantization_config": quantization}))
    assert (None if found.draft_format is None else str(found.draft_format.bits)) == bits


def test_the_worst_match_of_a_pools_variants_counts() -> None:
    of = pair("DraftModel")
    two = pool(variant("a"), variant("b", source="pvc://b"), speculativePairRef={"name": "pair"})
    good = speculations(two, of)
    other = {**MODEL_CONFIG, "tokenizer.json": {**TOKENIZER, "sha256": "f" * 64}}
    bad, unread = speculations(two, of, target=other), speculations(two, of, target=None)
    assert match_of(good.values()).verdict is Verdict.TRUE
    assert match_of([good["a"], unread["b"]]).verdict is Verdict.UNKNOWN
    assert match_of([good["a"], unread["b"], bad["a"]]).verdict is Verdict.FALSE
