"""What the benchmark sends: prompts with their bytes, in conversations whose turns follow each other.

A token is 4 bytes of text here, so that a picker sees the same beginnings as an engine, which sees blocks of tokens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING
from zlib import crc32

from mixserve.simulate.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mixserve_devcluster.demo.workload import Lengths

BYTES_PER_TOKEN = 4
_BLOCK_TOKENS = 16
_MAX_TOKENS = 16_000


@dataclass(frozen=True, slots=True)
class Turn:
    """One request, with the text of its prompt and the client's pause before it."""

    prompt: bytes
    request: Request
    pause_s: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that follow each other: each is sent `pause_s` after the answer to the one before."""

    begins_s: float
    session: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A name for the table, what it is, and how to make one from a seed."""

    name: str
    about: str
    make: Callable[[int], list[Conversation]]


def _tokens(rng: random.Random, count: int) -> bytes:
    return rng.randbytes(BYTES_PER_TOKEN * count)


def _block_hashes(text: bytes) -> tuple[int, ...]:
    """One for each full block of 16 tokens, each standing for everything before it."""
    size = _BLOCK_TOKENS * BYTES_PER_TOKEN
    blocks = (text[end - size : end] for end in range(size, len(text) + 1, size))
    return tuple(accumulate(blocks, lambda parent, block: hash((parent, crc32(block))), initial=0))[1:]


def _turn(number: str, prompt: bytes, answer: bytes, pause_s: float) -> Turn:
    request = Request(
        request_id=number,
        prompt_tokens=len(prompt) // BYTES_PER_TOKEN,
        answer_tokens=len(answer) // BYTES_PER_TOKEN,
        block_hashes=_block_hashes(prompt + answer),
    )
    return Turn(prompt, request, pause_s)


def _begins(rng: random.Random, *, per_s: float, until_s: float) -> Iterator[float]:
    now_s = rng.expovariate(per_s)
    while now_s < until_s:
        yield now_s
        now_s += rng.expovariate(per_s)


def _around(rng: random.Random, mean: float, deviation: float = 0.6) -> int:
    """A log-normal length with this mean, at least 1."""
    return max(1, min(_MAX_TOKENS, round(rng.lognormvariate(0, deviation) * mean / 2.718 ** (deviation**2 / 2))))


def shared_prompts(
    *,
    groups: int,
    zipf: float,
    system_tokens: float,
    per_s: float,
    until_s: float,
    head_tokens: int = 0,
) -> Callable[[int], list[Conversation]]:
    """Single requests, each with the system prompt of one of many applications; all may begin with the same tokens."""

    def make(seed: int) -> list[Conversation]:
        rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
        head = _tokens(rng, head_tokens)
        prompts = [head + _tokens(rng, _around(rng, system_tokens, 0.4)) for _ in range(groups)]
        shares = [1 / (rank + 1) ** zipf for rank in range(groups)]
        return [
            Conversation(
                at_s,
                f"c{number}",
                (
                    _turn(
                        f"r{number}",
                        rng.choices(prompts, shares)[0] + _tokens(rng, _around(rng, 150)),
                        _tokens(rng, _around(rng, 120)),
                        0.0,
                    ),
                ),
            )
            for number, at_s in enumerate(_begins(rng, per_s=per_s, until_s=until_s))
        ]

    return make


def chats(
    *,
    groups: int,
    system_tokens: float,
    turns: float,
    pause_s: float,
    per_s: float,
    until_s: float,
) -> Callable[[int], list[Conversation]]:
    """Conversations that grow, under a few system prompts."""

    def make(seed: int) -> list[Conversation]:
        rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
        prompts = [_tokens(rng, _around(rng, system_tokens, 0.4)) for _ in range(groups)]
        shares = [1 / (rank + 1) for rank in range(groups)]
        return [
            Conversation(
                at_s, f"c{number}", tuple(_growing(rng, number, rng.choices(prompts, shares)[0], turns, pause_s))
            )
            for number, at_s in enumerate(_begins(rng, per_s=per_s, until_s=until_s))
        ]

    return make


def _growing(rng: random.Random, number: int, system: bytes, turns: float, pause_s: float) -> Iterator[Turn]:
    text = system
    for turn in range(1 + round(rng.expovariate(1 / (turns - 1)))):
        text += _tokens(rng, _around(rng, 80))
        answer = _tokens(rng, _around(rng, 150))
        if len(text + answer) > _MAX_TOKENS * BYTES_PER_TOKEN:
            return
        yield _turn(f"r{number}-{turn}", text, answer, rng.expovariate(1 / pause_s) if turn else 0.0)
        text += answer


def unshared(
    lengths: Sequence[Lengths],
    *,
    per_s: float,
    until_s: float,
) -> Callable[[int], list[Conversation]]:
    """Single requests that have nothing in common, with these lengths in random order."""

    def make(seed: int) -> list[Conversation]:
        rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
        found = []
        for number, at_s in enumerate(_begins(rng, per_s=per_s, until_s=until_s)):
            length = rng.choice(lengths)
            prompt = _tokens(rng, min(length.prompt_tokens, _MAX_TOKENS - 2000))
            answer = _tokens(rng, min(length.answer_tokens, 2000))
            found.append(Conversation(at_s, f"c{number}", (_turn(f"r{number}", prompt, answer, 0.0),)))
        return found

    return make
