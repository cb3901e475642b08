"""What the demo's clients ask: texts of their own, from a greeting to a proof, as long as the trace says."""

from enum import StrEnum

# Every conversation begins with the same instructions, as those of an application do.
SYSTEM_PROMPT = "You answer briefly, in plain words, and say so when you do not know. " * 4
_CHARACTERS_PER_TOKEN = 4


class Difficulty(StrEnum):
    """How much a question asks of a model."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


QUESTIONS = {
    Difficulty.EASY: (
        "Hi, what are your opening hours?",
        "What is the capital of Australia?",
        "Translate the last paragraph into French.",
        "Write a friendly reply that thanks the customer.",
        "Summarise what we agreed on in one sentence.",
        "Give me a title for this text.",
        "Who wrote Pride and Prejudice?",
    ),
    Difficulty.MEDIUM: (
        "Write a Python function that merges two sorted lists and returns the median, with tests for the empty list.",
        (
            "Prove that for every prime p greater than 3 the number p^2 - 1 is divisible by 24, then generalise the "
            "statement to p^2 - q^2 for two such primes, and give a counterexample where the generalisation fails "
            "without primality."
        ),
    ),
    Difficulty.HARD: (
        "A train leaves at 9 and travels 120 km at 80 km/h, then 60 km at 40 km/h. When does it arrive?",
        "A shop sells pens at 3 for 2 dollars. How much do 21 pens cost, and how many more could you buy with 20?",
        (
            "A tank holds 600 litres. One pump fills it at 40 litres per minute, a second one empties it at 25 litres "
            "per minute. If both run, and the second stops after 10 minutes, how many minutes until the tank is full?"
        ),
    ),
}
"""Texts by difficulty; the classifier `Heuristic` gives them 1 or 2, 3, and 4 or 5."""

# Of twenty requests thirteen are easy, five medium and two hard, well mixed.
_ORDER = tuple(
    {"e": Difficulty.EASY, "m": Difficulty.MEDIUM, "h": Difficulty.HARD}[letter] for letter in "emeehemeemeeemeeehme"
)


def difficulty(number: int) -> Difficulty:
    """Of the request with this number, from 0."""
    return _ORDER[number % len(_ORDER)]


def question(number: int) -> str:
    """What the request with this number asks in the end."""
    texts = QUESTIONS[difficulty(number)]
    return texts[number // len(_ORDER) % len(texts)]


def conversation(number: int, tokens: int) -> list[dict[str, str]]:
    """Messages of about so many tokens, of which no other request shares more than the instructions.

    What makes them long are notes that came before the question, as in a chat about a document.

    Args:
        number: of the request, from 0.
        tokens: > 0; the instructions and the question are there in any case.
    """
    asked = {"role": "user", "content": question(number)}
    length = tokens * _CHARACTERS_PER_TOKEN - len(SYSTEM_PROMPT) - len(asked["content"])
    told = _notes(number, length) if length > 0 else []
    return [{"role": "system", "content": SYSTEM_PROMPT}, *told, asked]


def _notes(number: int, length: int) -> list[dict[str, str]]:
    words = f"Note {number} is about item {number * 7919 % 10007}. "
    text = (words * (length // len(words) + 1))[:length]
    return [{"role": "user", "content": text}, {"role": "assistant", "content": "Noted."}]
