"""What every classifier answers, and which text of a prompt it judges."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mixserve.route.request import Message, Prompt

EASIEST = 1
HARDEST = 5
MIDDLE = 3
"""As hard as prompts are on the whole: what counts where nothing speaks for more or less."""


class Complexity(NamedTuple):
    """How hard a prompt is.

    Attributes:
        score: from `EASIEST` to `HARDEST`.
        reason: what made it so, in a few words of ASCII: fit for a header, and without any text of the prompt.
    """

    score: int
    reason: str


class Classifier(Protocol):
    """A prompt to its complexity: pure, the same prompt gives the same answer, no prompt raises."""

    def __call__(self, prompt: Prompt) -> Complexity:
        """Judge one prompt; see `Complexity` for the range."""
        ...


def judged(prompt: Prompt) -> Message:
    """What the client asks now: the last turn of the user, or every text where there is no such turn.

    The whole conversation would grow harder with each turn, and a long system prompt would make all requests alike.
    """
    for message in reversed(prompt.messages):
        if message.role == "user":
            return message
    return Message("", prompt.text, unread=any(message.unread for message in prompt.messages))


def with_unread(complexity: Complexity, prompt: Prompt) -> Complexity:
    """The complexity of the text; at least `MIDDLE` where there is more than text, which nobody has looked at."""
    if complexity.score >= MIDDLE or not judged(prompt).unread:
        return complexity
    return Complexity(MIDDLE, f"not all is text, so at least {MIDDLE}; text {complexity.reason}")


def graded(raw: float, thresholds: Sequence[float]) -> int:
    """A raw score, the larger the harder, as 1 to 5: one more for each of the four ascending thresholds it reaches."""
    return EASIEST + bisect_right(thresholds, raw)
