"""Walk through a long JSON text without building it: a tokenizer of 30 MB would take ten times that as objects.

Nothing here recurses, so no nesting runs out of stack, and only single strings and numbers are ever decoded.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Strings without giving anything back, so that a hostile one costs no more than a usual one.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR = rb"-?[0-9][0-9eE.+-]*+|true|false|null|NaN|-?Infinity"
_TOKEN = re.compile(rb"[ \t\r\n]*+(" + _STRING + rb"|[{}\[\],:]|" + _SCALAR + rb")", re.DOTALL)

LONGEST_STRING_BYTES = 2**20
"""Tokens of a vocabulary have less than a hundred; chat templates, the longest ones beside it, some ten thousand."""

MOST_TOKENS = 2**22
"""Of JSON; the entries of a vocabulary and merges are one each, of which the longest have a million together. So many
take some seconds."""

_DEEPEST = 64


class ScanError(ValueError):
    """The text is no JSON, or none that anybody has written for a model."""


class Scanner:
    """A place in a JSON text.

    Args:
        text: UTF-8.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.position = 0
        self._tokens = 0

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Take what a pattern matches here; None where it does not.

        Raises:
            ScanError: there have been too many.
        """
        self._tokens += 1
        if self._tokens > MOST_TOKENS:
            raise ScanError("there is too much in it")
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def token(self) -> bytes:
        """Take the next token.

        Raises:
            ScanError: there is none.
        """
        found = self.match(_TOKEN)
        if found is None:
            raise ScanError(f"it is no JSON at byte {self.position}")
        token = found[1]
        if len(token) > LONGEST_STRING_BYTES:
            raise ScanError("one of its strings is too long")
        return token

    def expect(self, *tokens: bytes) -> bytes:
        """Take one of these tokens.

        Raises:
            ScanError: it is another one.
        """
        token = self.token()
        if token not in tokens:
            raise ScanError(f"it is no JSON, or not as expected, at byte {self.position}")
        return token

    def members(self) -> Iterator[str]:
        """The keys of an object that begins here; the caller takes the value after each.

        Raises:
            ScanError: it is no object.
        """
        self.expect(b"{")
        token = self.token()
        while token != b"}":
            key = string(token)
            self.expect(b":")
            yield key
            if self.expect(b",", b"}") == b"}":
                return
            token = self.token()

    def skip(self) -> bytes:
        """Take a value; return its text.

        Raises:
            ScanError: it is none.
        """
        begin, open_brackets = self.position, 0
        while True:
            token = self.token()
            open_brackets += (token in {b"{", b"["}) - (token in {b"}", b"]"})
            if open_brackets > _DEEPEST or open_brackets < 0:
                raise ScanError("it is nested too deep, or wrongly")
            if not open_brackets and token not in {b",", b":"}:
                return self.text[begin : self.position]

    def value(self) -> Any:
        """Take a value that is short, decoded.

        Raises:
            ScanError: it is none, or longer than any that is asked for.
        """
        text = self.skip()
        if len(text) > LONGEST_STRING_BYTES:
            raise ScanError("a part of it is too long")
        try:
            return json.loads(text)
        except ValueError as error:
            raise ScanError("a part of it is no JSON") from error


def string(token: bytes) -> str:
    """A token that is a string, decoded.

    Raises:
        ScanError: it is something else, or no UTF-8.
    """
    try:
        if token[:1] != b'"':
            raise ScanError("there is something else where a string should be")
        decoded: str = json.loads(token) if b"\\" in token else token[1:-1].decode()
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ScanError("one of its strings is none") from error
    return decoded
