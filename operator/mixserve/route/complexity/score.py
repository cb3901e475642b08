"""What every classifier answers, and which text of a prompt it judges."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mixserve.route.request import Prompt

EASIEST = 1
HARDEST = 5


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


def judged_text(prompt: Prompt) -> str:
    """What the client asks now: the last turn of the user, or every text where there is no such turn.

    The whole conversation would grow harder with each turn, and a long system prompt would make all requests alike.
    """
    for message in reversed(prompt.messages):
        if message.role == "user":
            return message.text
    return prompt.text


def unjudged(why: str) -> Complexity:
    """For what a classifier cannot judge: it counts as hard, since a dear answer is a smaller harm than a wrong one."""
    return Complexity(HARDEST, f"not judged: {why}")


def graded(raw: float, thresholds: Sequence[float]) -> int:
    """A raw score, the larger the harder, as 1 to 5: one more for each of the four ascending thresholds it reaches."""
    return EASIEST + bisect_right(thresholds, raw)
