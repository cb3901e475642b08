"""Do a model and its draft split text into the same tokens? By what was read of their tokenizer.json.

A proposed token is a number. If it stands for another text in the model, every proposal is wrong, and no engine says
so: they compare the sizes of the vocabularies at most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

TOKENIZER = "tokenizer.json"
"""The file beside config.json that says how text is split. Whoever reads config.json puts what it is told by under this
name beside config.json's own keys: `sha256`, 64 hexadecimal digits of vocabulary, merges and added tokens in a
canonical form, and `specialTokens`, texts by role such as bos_token."""

_DIGEST = re.compile("[0-9a-f]{64}")
# What fills up a batch in training; requests are not padded, so it says nothing.
_UNUSED_ROLES = frozenset({"pad_token"})


class Verdict(StrEnum):
    """Whether two tokenizers are the same; the values are those of a condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class TokenizerMatch:
    """Whether model and draft split text alike.

    Attributes:
        verdict: whether they do.
        detail: why, as a clause.
        other_roles: special tokens that the draft has in other roles than the model, as "eos_token is '</s>'"; empty
            where there are none.
    """

    verdict: Verdict
    detail: str
    other_roles: str = ""


@dataclass(frozen=True)
class _Tokenizer:
    digest: str
    special_tokens: Mapping[str, str]


def match_tokenizers(target: Mapping[str, Any] | None, draft: Mapping[str, Any] | None) -> TokenizerMatch:
    """Compare what was read of two checkpoints, which may hold anything.

    Args:
        target: decoded config.json of the model, with `TOKENIZER`; None where it can't be read.
        draft: the same of the draft.
    """
    ours, theirs = _read(target), _read(draft)
    if ours is None or theirs is None:
        whose = " and ".join(name for name, read in (("the model", ours), ("the draft", theirs)) if read is None)
        return TokenizerMatch(Verdict.UNKNOWN, f"tokenizer.json of {whose} can't be read by the operator")
    if ours.digest != theirs.digest:
        return TokenizerMatch(
            Verdict.FALSE, "the draft's tokenizer has another vocabulary than the model's, or other merges"
        )
    different = sorted(_different_roles(ours.special_tokens, theirs.special_tokens))
    # No mismatch: numbers mean the same in both, and it is the model's tokens that begin and end an answer. Base models
    # as drafts of their chat models are like that.
    other_roles = ", ".join(f"{role} is {theirs.special_tokens[role]!r}" for role in different)
    return TokenizerMatch(Verdict.TRUE, "model and draft have the same vocabulary", other_roles)


def _different_roles(ours: Mapping[str, str], theirs: Mapping[str, str]) -> set[str]:
    """Roles that both have, with other tokens."""
    shared = ours.keys() & theirs.keys() - _UNUSED_ROLES
    return {role for role in shared if ours[role] != theirs[role]}


def _read(config: Mapping[str, Any] | None) -> _Tokenizer | None:
    said = None if config is None else config.get(TOKENIZER)
    if not isinstance(said, Mapping):
        return None
    digest, special = said.get("sha256"), said.get("specialTokens")
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        return None
    tokens = special if isinstance(special, Mapping) else {}
    return _Tokenizer(digest, {role: text for role, text in tokens.items() if isinstance(text, str)})
