from __future__ import annotations

from typing import Any

import pytest

from mixserve.plan.tokenizer import Verdict, match_tokenizers


def config(sha256: Any = "a" * 64, **special: Any) -> dict[str, Any]:
    return {"tokenizer.json": {"sha256": sha256, "specialTokens": {"bos_token": "<s>", **special}}}


def test_the_same_vocabulary_and_special_tokens_match() -> None:
    found = match_tokenizers(config(eos_token="</s>"), config(eos_token="</s>"))
    assert found.verdict is Verdict.TRUE
    assert found.detail == "model and draft have the same vocabulary"
    assert found.other_roles == ""


def test_another_vocabulary_does_not() -> None:
    found = match_tokenizers(config(), config("b" * 64))
    assert found.verdict is Verdict.FALSE
    assert "another vocabulary" in found.detail


def test_a_base_model_goes_with_its_chat_model_and_what_it_ends_texts_with_is_named() -> None:
    found = match_tokenizers(config(eos_token="<|im_end|>"), config(eos_token="<|endoftext|>"))
    assert found.verdict is Verdict.TRUE
    assert found.other_roles == "eos_token is '<|endoftext|>'"


@pytest.mark.parametrize(
    "special",
    [
        pytest.param({"pad_token": "<pad>"}, id="padding, which requests don't need"),
        pytest.param({"unk_token": "<unk>"}, id="a role that only one has"),
        pytest.param({"eos_token": 7}, id="what is no text"),
    ],
)
def test_what_says_nothing_does_not_matter(special: dict[str, Any]) -> None:
    assert match_tokenizers(config(pad_token="</s>", eos_token="</s>"), config(**special)).verdict is Verdict.TRUE


@pytest.mark.parametrize(
    "unread",
    [
        None,
        {},
        {"tokenizer.json": None},
        {"tokenizer.json": ["a"]},
        config(sha256=None),
        config(sha256="A" * 64),
        config(sha256="a" * 63),
        config(sha256=7),
    ],
)
def test_what_was_not_read_is_unknown(unread: Any) -> None:
    found = match_tokenizers(config(), unread)
    assert found.verdict is Verdict.UNKNOWN
    assert found.detail == "tokenizer.json of the draft can't be read by the operator"
    assert "of the model and the draft" in match_tokenizers(unread, unread).detail


def test_without_special_tokens_the_vocabulary_decides() -> None:
    bare = {"tokenizer.json": {"sha256": "a" * 64}}
    assert match_tokenizers(bare, config()).verdict is Verdict.TRUE
