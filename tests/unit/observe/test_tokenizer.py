"""Which files are the same tokenizer, and that nothing in a file breaks anything."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.observe import json_scan, tokenizer
from mixserve.observe.tokenizer import tokenizer_identity

BPE: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": 4, "content": "<s>", "special": True},
        {"id": 5, "content": "</s>", "special": True},
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
    "decoder": {"type": "ByteLevel"},
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "ignore_merges": False,
        "vocab": {"a": 0, "b": 1, "ab": 2, "ä\n": 3},
        "merges": ["a b", "ab ä"],
    },
}
UNIGRAM = {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.5]]}}


def identity(content: Any, **beside: Any) -> Any:
    """The digest of a tokenizer, which is written as JSON unless it is text."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    found = tokenizer_identity(text, config=beside.get("config"), special=beside.get("special"))
    return None if found is None else found["sha256"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """BPE with another value at a path."""
    content = copy.deepcopy(BPE)
    place = content
    *way, last = path.split(".")
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return content


SAME = {
    "indented": json.dumps(BPE, indent=2).encode(),
    "not escaped": json.dumps(BPE, ensure_ascii=False).encode(),
    "in another order": json.dumps(BPE, sort_keys=True).encode(),
    "a vocabulary in another order": changed("model.vocab", {"ä\n": 3, "ab": 2, "b": 1, "a": 0}),
    "merges as pairs": changed("model.merges", [["a", "b"], ["ab", "ä"]]),
    "padding": changed("padding", {"strategy": "BatchLongest", "pad_id": 4}),
    "truncation": changed("truncation", {"max_length": 512}),
    "decoder": changed("decoder", {"type": "Other"}),
    "without what is not set": changed("model.unk_token", ...),
    "added tokens in another order": changed("added_tokens", BPE["added_tokens"][::-1]),
}
OTHERS = {
    "another number": changed("model.vocab", {"a": 0, "b": 1, "ab": 3, "ä\n": 2}),
    "one token more": changed("model.vocab", {**BPE["model"]["vocab"], "c": 9}),
    "one merge less": changed("model.merges", ["a b"]),
    "merges in another order": changed("model.merges", ["ab ä", "a b"]),
    "no merges": changed("model.merges", []),
    "an added token less": changed("added_tokens", BPE["added_tokens"][:1]),
    "another model": changed("model.type", "WordPiece"),
    "split elsewhere": changed("pre_tokenizer", {"type": "Whitespace"}),
    "of scores": UNIGRAM,
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_formatting_and_what_splits_no_text_do_not_count(content: Any) -> None:
    assert identity(content) == identity(BPE)


def test_everything_that_splits_text_counts() -> None:
    digests = [identity(content) for content in [BPE, *OTHERS.values()]]
    assert all(len(digest) == 64 for digest in digests)
    assert len(set(digests)) == len(digests)


DEEP = b"[" * 100_000
WRONG = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no model": b"{}",
    "a model that is none": b'{"model": 3}',
    "no vocabulary": b'{"model": {"type": "BPE"}}',
    "an empty vocabulary": b'{"model": {"vocab": {}}}',
    "a vocabulary of NaN": b'{"model": {"vocab": {"a": NaN}}}',
    "a vocabulary of text": b'{"model": {"vocab": {"a": "b"}}}',
    "a vocabulary that is none": b'{"model": {"vocab": 3}}',
    "merges of numbers": b'{"model": {"vocab": {"a": 1}, "merges": [1]}}',
    "merges that are none": b'{"model": {"vocab": {"a": 1}, "merges": {}}}',
    "added tokens that are none": b'{"model": {"vocab": {"a": 1}}, "added_tokens": [3]}',
    "deep": DEEP,
    "deep in the model": b'{"model": {"x": ' + DEEP,
    "deep in scores": b'{"model": {"vocab": [' + DEEP,
    "wrong brackets": b'{"model": {"x": ]',
    "no UTF-8": b'{"\xff": 1}',
    "no UTF-8 inside": b'{"model": {"x": "\xff"}}',
    "a wrong escape": b'{"\\q": 1}',
    "a wrong escape in a token": b'{"model": {"vocab": {"\\q": 1}}}',
    "a key that is none": b"{3: 1}",
    "scores that are no JSON": b'{"model": {"vocab": [1 2]}}',
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_what_is_no_tokenizer_is_none(content: bytes) -> None:
    assert identity(content) is None


@pytest.mark.parametrize(
    ("module", "limit", "value"),
    [
        (json_scan, "LONGEST_STRING_BYTES", 3),
        (json_scan, "MOST_TOKENS", 20),
    ],
)
def test_what_is_longer_than_any_tokenizer_is_none(
    module: Any, limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, value)
    assert identity(BPE) is None


def test_a_part_that_is_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "_LONGEST_SCORES_BYTES", 10)
    assert identity(UNIGRAM) is None
    monkeypatch.setattr(json_scan, "LONGEST_STRING_BYTES", 40)
    assert identity(BPE) is None, "the added tokens"


@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_nothing_breaks_it(content: bytes | str) -> None:
    assert identity(content if isinstance(content, bytes) else content.encode()) is None


def test_special_tokens_come_from_the_files_beside_it() -> None:
    config = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": None, "model_max_length": 1e30}
    special = {"eos_token": "<other>", "unk_token": "<unk>", "bos_token": 7}
    found = tokenizer_identity(
        json.dumps(BPE).encode(), config=json.dumps(config).encode(), special=json.dumps(special).encode()
    )
    assert found is not None
    assert found["specialTokens"] == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


@pytest.mark.parametrize("beside", [None, b"", b"{", b"[]", DEEP, b'{"bos_token": ""}', b'{"bos_token": {"a": 1}}'])
def test_files_beside_it_that_say_nothing_are_left_out(beside: bytes | None) -> None:
    found = tokenizer_identity(json.dumps(BPE).encode(), config=beside, special=beside)
    assert found == {"sha256": identity(BPE), "specialTokens": {}}


def test_the_longest_vocabularies_take_seconds() -> None:
    vocabulary = {f"token {number}": number for number in range(256_000)}
    merges = [[f"token {number}", "x"] for number in range(256_000)]
    content = json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}}).encode()
    began_s = time.process_time()
    assert identity(content) is not None
    # One on a machine with nothing else to do.
    assert time.process_time() - began_s < 10
