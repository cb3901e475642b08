"""A request as an engine sees it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request.

    Attributes:
        request_id: unique among the requests in the engine.
        prompt_tokens: length of the prompt, at least 1.
        answer_tokens: tokens that the answer will have, at least 1; an input, because nothing here is random.
        block_hashes: hashes of the leading full blocks of prompt and answer, each one standing for everything before
            it too (see `chained_block_hashes`). Blocks beyond are never shared; empty: nothing is.
    """

    request_id: str
    prompt_tokens: int
    answer_tokens: int
    block_hashes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.prompt_tokens < 1 or self.answer_tokens < 1:
            raise ValueError(f"request {self.request_id}: prompt_tokens and answer_tokens must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRequest:
    """A request that got its whole answer, and when.

    Attributes:
        cached_tokens: prompt tokens that the prefix cache supplied.
        preemptions: how often it lost its blocks and was computed again.
        queued_at_s: when it was submitted.
        scheduled_at_s: when the first step with it began.
        first_token_at_s: when its first token came out.
        finished_at_s: when its last token came out.
    """

    request: Request
    cached_tokens: int
    preemptions: int
    queued_at_s: float
    scheduled_at_s: float
    first_token_at_s: float
    finished_at_s: float


def chained_block_hashes(token_ids: Sequence[int], block_size: int, *, salt: int = 0) -> tuple[int, ...]:
    """Hash every full block together with all before it: equal hashes mean equal prefixes, with the same salt.

    The same in every process, since Python randomises the hashes of strings only, not of integers.
    """
    hashes: list[int] = []
    parent = salt
    for end in range(block_size, len(token_ids) + 1, block_size):
        parent = hash((parent, *token_ids[end - block_size : end]))
        hashes.append(parent)
    return tuple(hashes)
