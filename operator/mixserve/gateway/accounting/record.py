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


_DECODER = msgspec.json.Decoder(Record, strict=False)


def read_record(line: bytes) -> Record | None:
    """The record of a line, or None for one that is none."""
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError:
        return None
