from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import Reason
from mixserve.plan.absence import Outlook
from mixserve.plan.facts import UnknownFacts
from mixserve.validate import speculation_checks as checks
from mixserve.validate import speculation_notes as notes
from support.manifests import LLAMA_8B, pool, subjects, variant
from support.pairs import DRAFT_CONFIG, HEAD_CONFIG, MODEL_CONFIG, MTP_CONFIG, TOKENIZER, pair, speculations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mixserve.validate.subject import Subject
    from mixserve.validate.violation import Finding

PATH = "spec.speculativePairRef.name"
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}
TRTLLM = {"type": "tensorrt-llm", "version": "1.2.1"}


def subject(
    method: str = "DraftModel",
    *,
    target: Any = MODEL_CONFIG,
    draft: Any = DRAFT_CONFIG,
    facts: Any = LLAMA_8B,
    engine: Any = None,
    accelerator: str = "h100-80gb",
    gpus: int = 1,
    **spec: Any,
) -> Subject:
    """A pool with a pair, and what is known of their files."""
    manifest = pool(
        variant(tensorParallel=gpus, accelerator=accelerator), engine=engine, speculativePairRef={"name": "pair"}
    )
    (found,) = subjects(
        manifest, facts=facts, speculation=speculations(manifest, pair(method, **spec), target=target, draft=draft)
    )
    return found


def without_pair() -> Subject:
    (found,) = subjects(pool())
    return found


def said(check: Callable[[Subject], Iterable[Finding]], of: Subject) -> list[tuple[Reason, str]]:
    found = list(check(of))
    assert all(one.field_path == PATH for one in found)
    return [(one.reason, one.cause.removeprefix("spec.draft.source of SpeculativePair pair: ")) for one in found]


CHECKS = [
    getattr(module, name)
    for module in (checks, notes)
    for name in dir(module)
    if callable(getattr(module, name)) and getattr(getattr(module, name), "__module__", "") == module.__name__
    if not name.startswith("_") and name != "unknown_pair"
]


@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_a_pool_without_a_pair_has_nothing_to_check(check: Any) -> None:
    assert list(check(without_pair())) == []


@pytest.mark.parametrize("method", ["DraftModel", "EAGLE3", "NGram", "MTP"])
def test_a_right_pair_has_no_violations(method: str) -> None:
    files = {"EAGLE3": {"draft": HEAD_CONFIG}, "MTP": {"target": MTP_CONFIG}}.get(method, {})
    of = subject(method, **files)
    assert [one for check in CHECKS if check.__module__ == checks.__name__ for one in check(of)] == []


class TestUnknownPair:
    def test_a_typing_error_is_recognised(self) -> None:
        (found,) = checks.unknown_pair(pool(speculativePairRef={"name": "lama"}), ["llama", "qwen"])
        assert (found.reason, found.field_path) == (Reason.UNKNOWN_SPECULATIVE_PAIR, PATH)
        assert found.cause == "there is no SpeculativePair lama in the namespace"
        assert found.remedy.startswith("did you mean llama? choose one of llama, qwen")

    def test_a_known_one_and_none_are_right(self) -> None:
        assert list(checks.unknown_pair(pool(speculativePairRef={"name": "a"}), ["a"])) == []
        assert list(checks.unknown_pair(pool(), [])) == []


class TestEngine:
    def test_what_the_engine_has_not_is_refused_with_the_pairs_field(self) -> None:
        (found,) = checks.unsupported_speculation(subject("Suffix", engine=TRTLLM))
        assert (found.reason, found.field_path) == (Reason.UNSUPPORTED_SPECULATION, PATH)
        assert found.cause == "spec.method of SpeculativePair pair: TensorRT-LLM 1.2 has no method Suffix"
        assert found.remedy == "choose one that it has: DraftModel, EAGLE3, MTP, NGram"

    def test_what_is_the_pools_is_said_of_the_pools_field(self) -> None:
        (found,) = checks.unsupported_speculation(
            subject("NGram", engine={"version": "0.32.0", "args": ["--async-scheduling"]})
        )
        assert found.field_path == "spec.engine.args[0]"


class TestKind:
    def test_a_head_is_no_model(self) -> None:
        (found,) = checks.draft_of_another_kind(subject("DraftModel", draft=HEAD_CONFIG))
        assert found.reason is Reason.DRAFT_MISMATCH
        assert found.message.endswith("its draft is an EAGLE-3 head, no model; set it to EAGLE3")

    def test_a_model_is_no_head(self) -> None:
        (found,) = checks.draft_of_another_kind(subject("EAGLE3", draft=DRAFT_CONFIG))
        assert found.message.endswith("its draft is a model, no EAGLE-3 head; set it to DraftModel")

    def test_what_was_not_read_may_be_either(self) -> None:
        assert list(checks.draft_of_another_kind(subject("EAGLE3", draft=None))) == []


def test_a_head_of_another_model_is_refused() -> None:
    found = said(checks.head_of_another_model, subject("EAGLE3", draft={**HEAD_CONFIG, "hidden_size": 8192}))
    assert found == [
        (
            Reason.DRAFT_MISMATCH,
            "the EAGLE-3 head was made for a model with a hidden size of 8192, and that of variant main has 4096",
        )
    ]
    assert said(checks.head_of_another_model, subject("EAGLE3", draft={"draft_vocab_size": 1})) == []


class TestVocabulary:
    @pytest.mark.parametrize("method", ["DraftModel", "EAGLE3"])
    def test_another_size_is_refused(self, method: str) -> None:
        draft = {**(DRAFT_CONFIG if method == "DraftModel" else HEAD_CONFIG), "vocab_size": 151936}
        assert said(checks.draft_with_another_vocabulary, subject(method, draft=draft)) == [
            (
                Reason.DRAFT_MISMATCH,
                "the draft's vocabulary has 151936 tokens, and the model's in variant main 128256",
            )
        ]

    def test_numbers_that_are_given_count(self) -> None:
        facts = LLAMA_8B.model_copy(update={"vocabulary_size": 32000}).to_wire()
        draft = {"source": "pvc://drafts/one", "facts": facts}
        assert len(said(checks.draft_with_another_vocabulary, subject(draft={**DRAFT_CONFIG}, facts=LLAMA_8B))) == 0
        (found,) = checks.draft_with_another_vocabulary(_given(draft, None))
        assert "has 32000 tokens" in found.cause

    def test_what_is_no_number_is_unknown(self) -> None:
        draft = {**HEAD_CONFIG, "vocab_size": "128256"}
        assert said(checks.draft_with_another_vocabulary, subject("EAGLE3", draft=draft)) == []


def _given(draft: dict[str, Any], config: Any) -> Subject:
    manifest = pool(speculativePairRef={"name": "pair"})
    of = pair("DraftModel", draft=draft)
    (found,) = subjects(manifest, speculation=speculations(manifest, of, draft=config))
    return found


def test_another_tokenizer_is_refused() -> None:
    draft = {**DRAFT_CONFIG, "tokenizer.json": {**TOKENIZER, "sha256": "f" * 64}}
    assert said(checks.draft_with_another_tokenizer, subject(draft=draft)) == [
        (Reason.DRAFT_MISMATCH, "the draft's tokenizer has another vocabulary than the model's, or other merges")
    ]


def test_all_that_is_wrong_with_a_drafts_config_is_said() -> None:
    draft = {**DRAFT_CONFIG, "hidden_size": -1, "num_hidden_layers": "x"}
    found = said(checks.invalid_draft_facts, subject(draft=draft))
    assert [reason for reason, _ in found] == [Reason.INVALID_MODEL_FACTS] * 2


@pytest.mark.parametrize(("outlook", "count"), [(Outlook.NOT_THERE, 1), (Outlook.NEVER, 0), (Outlook.LATER, 0)])
def test_only_a_draft_that_is_certainly_not_there_is_refused(outlook: Outlook, count: int) -> None:
    unknown = UnknownFacts("the hub has no hf://example/Draft", "correct the name", outlook)
    seen = subject()
    assert seen.speculation is not None
    seen = replace(seen, speculation=replace(seen.speculation, draft_facts=unknown))
    assert said(checks.draft_not_there, seen) == [(Reason.CHECKPOINT_NOT_FOUND, unknown.detail)] * count


def test_a_draft_whose_heads_cannot_be_shared_is_refused() -> None:
    draft = {**DRAFT_CONFIG, "num_attention_heads": 6, "num_key_value_heads": 3, "hidden_size": 384}
    (found,) = checks.indivisible_draft_heads(subject(draft=draft, gpus=4))
    assert found.reason is Reason.INDIVISIBLE_HEADS
    assert (
        "4 GPUs of variant main can't share the draft's 6 attention heads and 3 key-value heads evenly" in found.cause
    )
    assert list(checks.indivisible_draft_heads(subject(draft=draft, gpus=1))) == []


class TestMtp:
    def test_a_checkpoint_without_such_layers_is_refused(self) -> None:
        (found,) = checks.no_mtp_layers(subject("MTP", target=MODEL_CONFIG))
        assert found.reason is Reason.DRAFT_MISMATCH
        assert "the checkpoint of variant main has no layers for multi-token prediction" in found.cause

    @pytest.mark.parametrize("target", [MTP_CONFIG, None, {"model_type": "longcat_flash"}])
    def test_one_with_them_or_an_unknown_one_is_not(self, target: Any) -> None:
        assert list(checks.no_mtp_layers(subject("MTP", target=target))) == []

    @pytest.mark.parametrize(
        ("layers", "tokens", "right"), [(1, 3, True), (2, 3, False), (2, 4, True), (3, 2, True), (3, 4, False)]
    )
    def test_tokens_are_a_multiple_of_the_layers(self, layers: int, tokens: int, right: bool) -> None:
        target = {**MTP_CONFIG, "num_nextn_predict_layers": layers}
        found = list(checks.indivisible_tokens(subject("MTP", target=target, tokens=tokens)))
        assert [one.reason for one in found] == ([] if right else [Reason.UNSUPPORTED_SPECULATION])

    def test_a_draft_may_predict_several_tokens_as_well(self) -> None:
        (found,) = checks.indivisible_tokens(subject(draft={**DRAFT_CONFIG, "n_predict": 2}, tokens=5))
        assert "2 layers predict a token each, and 5 is no multiple of that" in found.cause
        assert list(checks.indivisible_tokens(subject(draft={**DRAFT_CONFIG, "n_predict": "2"}, tokens=5))) == []


class TestDraftFormat:
    def test_one_that_the_engine_does_not_read_is_refused(self) -> None:
        draft = {**DRAFT_CONFIG, "quantization_config": AWQ}
        found = said(checks.unsupported_draft_format, subject(draft=draft, engine=TRTLLM))
        assert found[0] == (
            Reason.CHECKPOINT_MISMATCH,
            "tensorrt-llm does not read a draft that is stored as awq:w4a16",
        )

    def test_one_that_the_gpu_does_not_run_is_refused(self) -> None:
        draft = {**DRAFT_CONFIG, "quantization_config": {"quant_method": "mxfp4"}}
        (found,) = said(checks.unsupported_draft_format, subject(draft=draft, engine=TRTLLM, accelerator="h100-80gb"))
        assert found[0] is Reason.UNSUPPORTED_QUANTIZATION
        assert "tensorrt-llm does not run on h100-80gb (compute capability 9.0) of variant main" in found[1]

    @pytest.mark.parametrize(
        ("draft", "accelerator"),
        [
            (DRAFT_CONFIG, "h100-80gb"),
            ({**DRAFT_CONFIG, "quantization_config": AWQ}, "h100-80gb"),
            ({**DRAFT_CONFIG, "quantization_config": AWQ}, "unheard-of"),
            ({**DRAFT_CONFIG, "quantization_config": {"quant_method": "of_another_planet"}}, "h100-80gb"),
        ],
    )
    def test_others_are_right_or_unknown(self, draft: Any, accelerator: str) -> None:
        assert said(checks.unsupported_draft_format, subject(draft=draft, accelerator=accelerator)) == []


class TestNotes:
    def test_clients_are_warned(self) -> None:
        ((reason, cause),) = said(notes.speculation_caveats, subject("NGram"))
        assert reason is Reason.VALID
        assert "min_p" in cause

    def test_a_tokenizer_that_was_not_read_is_said(self) -> None:
        draft = {key: value for key, value in DRAFT_CONFIG.items() if key != "tokenizer.json"}
        ((_, cause),) = said(notes.tokenizer_unread, subject(draft=draft))
        assert cause == (
            "whether the draft of SpeculativePair pair has the model's tokenizer is not checked, since tokenizer.json "
            "of the draft can't be read by the operator"
        )
        assert said(notes.tokenizer_unread, subject()) == []

    def test_a_draft_that_nobody_knows_counts_for_nothing(self) -> None:
        ((reason, cause),) = said(notes.draft_facts_unknown, subject(draft=None))
        assert reason is Reason.UNKNOWN_MODEL_FACTS
        assert cause.endswith("can't be read by the operator, so its memory counts for nothing")

    @pytest.mark.parametrize(("target", "count"), [(None, 1), ({"model_type": "longcat_flash"}, 1), (MTP_CONFIG, 0)])
    def test_layers_that_nobody_saw_are_said(self, target: Any, count: int) -> None:
        assert len(said(notes.mtp_unread, subject("MTP", target=target))) == count

    def test_a_draft_of_a_shorter_context_is_said(self) -> None:
        short = {**DRAFT_CONFIG, "max_position_embeddings": 8192}
        ((_, cause),) = said(notes.draft_context_shorter, subject(draft=short))
        assert cause.startswith("the draft was made for 8192 tokens, and requests may have 131072")
        assert said(notes.draft_context_shorter, subject(draft=short, engine={"maxModelLen": 8192})) == []
        assert said(notes.draft_context_shorter, subject(facts=UnknownFacts("unread"))) == []
