"""A stand-in for a tokenizer: every four characters are a token, the same ones always the same token."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# About what tokenizers of today's models make of English.
CHARACTERS_PER_TOKEN = 4
# Outside the range of a CRC, so that no text can look like the end of a turn.
_TURN_END = 1 << 32


def encode(text: str) -> list[int]:
    """The tokens of a text; the last one may stand for fewer characters."""
    return [
        zlib.crc32(text[start : start + CHARACTERS_PER_TOKEN].encode("utf-8", "surrogatepass"))
        for start in range(0, len(text), CHARACTERS_PER_TOKEN)
    ]


def encode_chat(turns: Iterable[tuple[str, str]]) -> list[int]:
    """The tokens of a conversation, (role, text) each, and of the beginning of the assistant's turn.

    An answer that comes back as a turn of the next request has the tokens that it had when it was made, so the
    prefix cache knows the whole conversation.
    """
    tokens: list[int] = []
    for role, text in turns:
        tokens += [*_role(role), *encode(text), _TURN_END]
    return tokens + _role("assistant")


def _role(role: str) -> list[int]:
    return [zlib.crc32(role.encode("utf-8", "surrogatepass"))]
