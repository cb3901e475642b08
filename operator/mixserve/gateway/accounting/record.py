"""A line of Envoy's access log."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

# What is less, or far more than any model reads or writes, is no count of tokens; a counter would never be right again.
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**9)]

# `msgspec` raises the last two as they are; one line or answer that is odd must not end the accounting.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class PromptTokensDetails(msgspec.Struct, frozen=True):
    """Of the prompt's tokens, those from the prefix cache."""

    cached_tokens: _Tokens | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the engine's answer has them; of a broken-off stream those that the last chunk told of."""

    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    prompt_tokens_details: PromptTokensDetails | None = None

    @property
    def cached_tokens(self) -> int:
        """Of the prompt's tokens, those from the prefix cache; 0 where the engine did not say."""
        return 0 if self.prompt_tokens_details is None else self.prompt_tokens_details.cached_tokens or 0


class Seen(msgspec.Struct, frozen=True):
    """What was found out on the way.

    Attributes:
        policy: the policy that decided.
        tier: the tier that was chosen.
        cause: why it was (`route.decision.Cause`).
        complexity: 1 to 5, as text.
        usage: a `Usage`, as JSON.
        state: "broken_off" for a stream that ended with an error event, since its engine failed.
    """

    policy: str = ""
    tier: str = ""
    cause: str = ""
    complexity: str = ""
    usage: str = ""
    state: str = ""


_NOTHING = Seen()
# A connection that ended, or was no HTTP any more.
_ENDED_BY_ENGINE = {"UC", "UPE"}


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What Envoy has seen of a request (`plan.envoy.request_log`), as far as it counts; None where there is nothing.

    Attributes:
        status: HTTP status of the answer; 0 where the client went before there was one.
        duration_ms: from the first byte of the request to the last one of the answer.
        first_byte_us: from the first byte of the request to the first one of the answer's body, of any try.
        pool: the pool that answered, or was tried last.
        attempts: how often the request was sent to an engine.
        content_type: of the answer.
        flags: Envoy's words for what went wrong.
        seen: what was found out on the way.
    """

    status: int = 0
    duration_ms: int | None = None
    first_byte_us: int | None = None
    pool: str | None = None
    attempts: int | None = None
    content_type: str | None = None
    flags: str = "-"
    seen: Seen | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the answer came as events."""
        return (self.content_type or "").startswith("text/event-stream")

    @property
    def is_broken_off(self) -> bool:
        """Whether the engine failed within its answer."""
        return self.found.state == "broken_off" or (self.status == HTTPStatus.OK and self.flags in _ENDED_BY_ENGINE)

    @property
    def found(self) -> Seen:
        """What was found out on the way; empty where nothing was."""
        return self.seen or _NOTHING

    @property
    def usage(self) -> Usage | None:
        """The tokens, or None where the answer had none that can be read."""
        if not self.found.usage:
            return None
        try:
            return _USAGE.decode(self.found.usage)
        except _UNREADABLE:
            return None


_DECODER = msgspec.json.Decoder(Record)
_USAGE = msgspec.json.Decoder(Usage)


def read_record(line: bytes) -> Record | None:
    """The record of a line, or None for one that is none."""
    try:
        return _DECODER.decode(line)
    except _UNREADABLE:
        return None
