"""Which tokenizer a checkpoint has: a digest of all that decides how text becomes numbers.

Two checkpoints with the same digest split a text into the same tokens with the same numbers. Formatting, the order of
the vocabulary, padding and truncation do not count: other tools write them in another way for the same tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from mixserve.observe.json_scan import ScanError, Scanner, string

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENIZER = "tokenizer.json"
"""The file with vocabulary, merges and added tokens; also the key beside those of config.json for what is known of it:
`{"sha256": 64 hexadecimal digits, "specialTokens": {"bos_token": "<s>", ...}}`."""

TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"

_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_LONGEST_SPECIAL = 256

_STRING = rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")'
_BLANK = rb"[ \t\r\n]*+"
# An entry of a vocabulary and a merge with what follows it, since there are hundreds of thousands of each.
_ENTRY = re.compile(_BLANK + _STRING + _BLANK + rb":" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"([,}])", re.DOTALL)
_PAIR = re.compile(
    _BLANK + rb"\[" + _BLANK + _STRING + _BLANK + rb"," + _BLANK + _STRING + _BLANK + rb"\]" + _BLANK + rb"([,\]])",
    re.DOTALL,
)
_JOINED = re.compile(_BLANK + _STRING + _BLANK + rb"([,\]])", re.DOTALL)
_MODULUS = 2**256

# A quarter of a million tokens with their scores have 10 MB.
_LONGEST_SCORES_BYTES = 2**24


def tokenizer_identity(
    tokenizer: bytes,
    *,
    config: bytes | None,
    special: bytes | None,
) -> dict[str, Any] | None:
    """What is known of a tokenizer; None where its files are none, or of a kind without vocabulary.

    Args:
        tokenizer: tokenizer.json.
        config: tokenizer_config.json, or None.
        special: special_tokens_map.json, or None; counts where the other one does not say it.
    """
    try:
        digest = _digest(Scanner(tokenizer))
    except ScanError:
        return None
    said = {**_special_tokens(special), **_special_tokens(config)}
    return {"sha256": digest, "specialTokens": {name: said[name] for name in _SPECIAL if name in said}}


def _digest(scanner: Scanner) -> str:
    parts: dict[str, str] = {}
    for key in scanner.members():
        if key == "model":
            parts["model"] = _model(scanner)
        elif key == "added_tokens":
            parts["added_tokens"] = _added_tokens(scanner)
        elif key in {"normalizer", "pre_tokenizer"}:
            # They decide where a text is split, before the vocabulary is looked at.
            parts[key] = _sha256(_canonical(scanner.value()))
        else:
            scanner.skip()
    if "model" not in parts:
        raise ScanError("there is no model in it")
    return _sha256(_canonical(parts))


def _model(scanner: Scanner) -> str:
    parts: dict[str, Any] = {}
    for key in scanner.members():
        if key == "vocab":
            parts[key] = _vocabulary(scanner)
        elif key == "merges":
            parts[key] = _merges(scanner)
        else:
            parts[key] = scanner.value()
    if "vocab" not in parts:
        raise ScanError("there is no vocabulary in it")
    # What is not set libraries write or leave out.
    unset = {key for key, value in parts.items() if value is None or value is False or value == ""}
    return _sha256(_canonical({key: value for key, value in parts.items() if key not in unset}))


def _vocabulary(scanner: Scanner) -> str:
    """Of `{"token": number, ...}`, in any order, or of `[["token", score], ...]`, whose order is the numbers'."""
    begin = scanner.position
    if scanner.expect(b"{", b"[") == b"[":
        scanner.position = begin
        return _sha256(_canonical_text(scanner.skip()))
    # Sums do not depend on the order, and need no memory.
    total, count, more = 0, 0, scanner.text[scanner.position : scanner.position + 64].strip()[:1] != b"}"
    while more:
        found = scanner.match(_ENTRY)
        if found is None:
            raise ScanError("an entry of the vocabulary is none")
        entry = _plain(found[1]) + b"\0" + b"%d" % int(found[2])
        total = (total + int.from_bytes(hashlib.sha256(entry).digest())) % _MODULUS
        count, more = count + 1, found[3] == b","
    if not count:
        raise ScanError("the vocabulary is empty")
    return f"{count}:{total:064x}"


def _merges(scanner: Scanner) -> str:
    """Of `[["a", "b"], ...]` or `["a b", ...]`, which mean the same: newer libraries write pairs."""
    scanner.expect(b"[")
    digest, more = hashlib.sha256(), scanner.text[scanner.position : scanner.position + 64].strip()[:1] != b"]"
    if not more:
        scanner.expect(b"]")
    while more:
        pair = scanner.match(_PAIR)
        joined = None if pair is not None else scanner.match(_JOINED)
        if pair is not None:
            digest.update(_plain(pair[1]) + b" " + _plain(pair[2]) + b"\n")
            more = pair[3] == b","
        elif joined is not None:
            digest.update(_plain(joined[1]) + b"\n")
            more = joined[2] == b","
        else:
            raise ScanError("a merge is none")
    return digest.hexdigest()


def _added_tokens(scanner: Scanner) -> str:
    tokens = scanner.value()
    if not isinstance(tokens, list) or not all(isinstance(token, dict) for token in tokens):
        raise ScanError("added_tokens is no list of objects")
    return _sha256(_canonical(sorted(_canonical(token) for token in tokens)))


def _plain(token: bytes) -> bytes:
    """A string without quotes and escapes."""
    return string(token).encode("utf-8", "surrogatepass") if b"\\" in token else token[1:-1]


def _canonical_text(text: bytes) -> str:
    if len(text) > _LONGEST_SCORES_BYTES:
        raise ScanError("a part of it is too long")
    try:
        return _canonical(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ScanError("a part of it is no JSON") from error


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _special_tokens(text: bytes | None) -> Mapping[str, str]:
    """Names of special tokens with the tokens; the token may stand in an object, as its content."""
    try:
        decoded = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    contents = {
        name: value.get("content") if isinstance(value, dict) else value
        for name, value in decoded.items()
        if name in _SPECIAL
    }
    return {
        name: content
        for name, content in contents.items()
        if isinstance(content, str) and 0 < len(content) <= _LONGEST_SPECIAL
    }
