"""A line of Envoy's access log."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What Envoy has seen of a request (`plan.envoy.request_log`), as far as it counts; None where there is nothing.

    Attributes:
        status: HTTP status of the answer; 0 where the client went before there was one.
        duration_ms: from the first byte of the request to the last one of the answer.
        first_byte_us: from the first byte of the request to the first one of the answer's body, of any try.
        policy: the policy that decided.
        tier: the tier that was chosen.
        cause: why it was (`route.decision.Cause`).
        complexity: 1 to 5, as text.
        pool: the pool that answered, or was tried last.
        attempts: how often the request was sent to an engine.
        prompt_tokens: of the prompt, those from the prefix cache among them.
        cached_tokens: of these, those from the prefix cache.
        completion_tokens: of the answer; of a broken-off stream those that the last chunk told of.
        content_type: of the answer.
    """

    status: int = 0
    duration_ms: int | None = None
    first_byte_us: int | None = None
    policy: str | None = None
    tier: str | None = None
    cause: str | None = None
    complexity: str | None = None
    pool: str | None = None
    attempts: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    content_type: str | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the answer came as events."""
        return (self.content_type or "").startswith("text/event-stream")


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    """Tokens, as the OpenAI API tells of them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Seen(msgspec.Struct, frozen=True):
    """What Envoy's program has seen; all of it is text, usage as the engine wrote it."""

    policy: str | None = None
    tier: str | None = None
    cause: str | None = None
    complexity: str | None = None
    usage: str | None = None


class _Line(msgspec.Struct, frozen=True):
    status: int = 0
    duration_ms: int | None = None
    first_byte_us: int | None = None
    pool: str | None = None
    attempts: int | None = None
    content_type: str | None = None
    seen: _Seen | None = None


_LINES = msgspec.json.Decoder(_Line, strict=False)
_USAGES = msgspec.json.Decoder(_Usage, strict=False)
_NOTHING = _Seen()


def read_record(line: bytes) -> Record | None:
    """The record of a line, or None for one that is none."""
    try:
        read = _LINES.decode(line)
    except msgspec.MsgspecError:
        return None
    seen = read.seen or _NOTHING
    usage = _usage(seen.usage)
    return Record(
        status=read.status,
        duration_ms=read.duration_ms,
        first_byte_us=read.first_byte_us,
        policy=seen.policy,
        tier=seen.tier,
        cause=seen.cause,
        complexity=seen.complexity,
        pool=read.pool,
        attempts=read.attempts,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None,
        completion_tokens=usage.completion_tokens,
        content_type=read.content_type,
    )


def _usage(text: str | None) -> _Usage:
    """What an engine says in a form of its own is as if it said nothing."""
    try:
        return _Usage() if text is None else _USAGES.decode(text)
    except msgspec.MsgspecError:
        return _Usage()
