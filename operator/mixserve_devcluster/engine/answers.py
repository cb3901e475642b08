"""Answers: made-up words, the same ones for the same prompt."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from mixserve_devcluster.engine.tokenizer import CHARACTERS_PER_TOKEN

# "bak ", "bal ", ...: one word is one token of the stand-in tokenizer, and needs no escaping in JSON.
_CONSONANTS, _VOWELS = "bdfgklmnprstvzhj", "aeiou"
_SYLLABLES = ["".join(letters) for letters in product(_CONSONANTS, _VOWELS, _CONSONANTS)]
# A step that shares no factor with the number of syllables visits each of them once, in no visible order.
_STEP = 577
_WORDS = "".join(f"{_SYLLABLES[index * _STEP % len(_SYLLABLES)]} " for index in range(len(_SYLLABLES)))

# Answers that nobody limits have 16 to 512 tokens: a sentence to a page.
_SHORTEST, _LENGTHS = 16, 497


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, decided before it is computed.

    Attributes:
        text: what the client gets; a stop string is not in it.
        tokens: how many tokens the engine generates for it.
        finish_reason: "stop" or "length".
        stop_reason: the stop string that ended it.
    """

    text: str
    tokens: int
    finish_reason: str
    stop_reason: str | None = None

    def part(self, start: int, end: int) -> str:
        """The text of tokens `start` to `end`."""
        return self.text[start * CHARACTERS_PER_TOKEN : end * CHARACTERS_PER_TOKEN]


def make_answer(
    seed: int,
    *,
    max_tokens: int,
    min_tokens: int = 0,
    ignore_eos: bool = False,
    stop: tuple[str, ...] = (),
) -> Answer:
    """The answer to a prompt.

    Args:
        seed: from the prompt; chooses words and length.
        max_tokens: the limit, at least 1.
        min_tokens: no end of the answer before, be it its own or a stop string.
        ignore_eos: go on to the limit.
        stop: strings that end the answer.
    """
    natural = max(_SHORTEST + seed % _LENGTHS, min_tokens)
    tokens = max_tokens if ignore_eos else min(natural, max_tokens)
    answer = Answer(text=_text(seed, tokens), tokens=tokens, finish_reason="length" if tokens == max_tokens else "stop")
    return _stopped(answer, stop, min_tokens)


def _text(seed: int, tokens: int) -> str:
    length = tokens * CHARACTERS_PER_TOKEN
    start = seed % len(_SYLLABLES) * CHARACTERS_PER_TOKEN
    repeated = _WORDS * (1 + (start + length) // len(_WORDS))
    return repeated[start : start + length]


def _stopped(answer: Answer, stop: tuple[str, ...], min_tokens: int) -> Answer:
    """End the answer where the first stop string is complete."""
    found: list[tuple[int, str]] = []
    for string in stop:
        # A string that is complete with the last token before min_tokens does not count.
        position = answer.text.find(string, max(0, min_tokens * CHARACTERS_PER_TOKEN - len(string) + 1))
        if position >= 0:
            found.append((position + len(string), string))
    if not found:
        return answer
    end, string = min(found)
    return Answer(
        text=answer.text[: end - len(string)],
        tokens=-(-end // CHARACTERS_PER_TOKEN),
        finish_reason="stop",
        stop_reason=string,
    )
