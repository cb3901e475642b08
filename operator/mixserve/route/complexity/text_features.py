"""Numbers about a text that go with how hard it is to answer, on subjects that a classifier has not seen.

What a text is about does not carry over to other subjects; how it is written does. Two kinds of signs do most of the
work: a text that keeps coming back to the same things, in short and plain words, asks to reason about what it states,
while many different and long words ask for something known; and numbers, symbols and comparisons ask to calculate.
docs/routing-quality.md has what each is worth.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import mul
from typing import NamedTuple

WINDOW = 1000
"""Characters looked at, at the begin and again at the end: bounds the time. The length counts in full."""

CONTENT_LETTERS = 4
"""Words from this length on count as content; shorter ones are mostly articles, prepositions and the like."""

LONG_LETTERS = 10
MOST_BYTES_OF_LATIN = 1.5
"""Per character, in UTF-8."""

_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz") | frozenset(range(128, 256))
"""Of UTF-8, in lower case: every byte of a letter with an accent counts as one more letter."""
_DIGITS = frozenset(b"0123456789")
_WORDS_ONLY = bytes(byte if byte in _LETTERS else 32 for byte in range(256))
_NUMBERS_ONLY = bytes(byte if byte in _DIGITS else 32 for byte in range(256))
SYMBOLS = b"=+*/^<>|~()[]{}%$"

FUNCTION_WORDS = frozenset(
    b"""
    a about after all also an and any are as at be because been before being between both but by can could did
    do does during each for from had has have he her him his how i if in into is it its may might more most must
    no not of off on one only or other our out over own she should since so some such than that the their them
    then there these they this those through to under until up was we were what when where which while who whom
    whose why will with would you your
    """.split()
)
NUMBER_WORDS = frozenset(
    b"""
    double dozen eight eleven fifty first five forty four half hundred million nine one quarter second seven six
    ten third thirty thousand three times triple twelve twenty twice two
    """.split()
)
COMPARING_WORDS = frozenset(
    b"""
    both decrease decreased decreases down equal fall falls faster greater half higher increase increased
    increases larger less lower more negative positive rise rises same slower smaller than twice up
    """.split()
)
CONDITION_WORDS = frozenset(
    b"""
    assume because could each every given if must per should since suppose then therefore unless when would
    """.split()
)

DOUBT = 8
"""In means and shares so many words of a typical text are added (for symbols: characters): a greeting has no style."""
TYPICAL_CONTENT_LENGTH = 6.6
TYPICAL_SPREAD = 2.8
TYPICAL_LONG_WORDS = 0.06
TYPICAL_FUNCTION_WORDS = 0.4
"""These are medians over the prompts of docs/routing-quality.md; of what is rare, a typical text has nothing."""


class TextFeatures(NamedTuple):
    """What is counted. Shares are between 0 and 1, logarithms are natural."""

    length: float
    """Logarithm of the characters."""
    repetition: float
    """Share of the content words that come more than once."""
    richness: float
    """Herdan's C of the content words: log of the different ones over log of all (Herdan 1960)."""
    recurrence: float
    """Logarithm of how often the most frequent content word comes."""
    content_length: float
    """Mean length of a content word, in letters."""
    spread: float
    """Standard deviation of the length of a word, in letters."""
    long_words: float
    """Share of words with `LONG_LETTERS` or more."""
    function_words: float
    """Share of function words."""
    comparing_words: float
    """Share of words that compare or say a direction."""
    condition_words: float
    """Share of words that state a condition, a supposition, a ratio."""
    number_words: float
    """Share of words that are numbers, among words and numbers in digits."""
    symbols: float
    """Share of characters that are symbols of formulas or code, brackets included."""
    commas: float
    """Commas per word."""


def is_latin(text: str) -> bool:
    """Whether there is a text, and most of it in Latin script, whose words can be counted.

    In UTF-8 an English letter takes one byte, an accented Latin one two, a Greek or Cyrillic one two, a Chinese one
    three: with more than 1.5 bytes per character it is mostly none of the first two.
    """
    seen = window(text)
    return bool(seen) and not seen.isspace() and len(_utf8(seen)) <= MOST_BYTES_OF_LATIN * len(seen)


def counted_words(text: str) -> list[bytes]:
    """The words that features are counted over, in lower case."""
    return _utf8(window(text).lower()).translate(_WORDS_ONLY).split()


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")


def window(text: str) -> str:
    """What of a text is looked at: all of it, or both ends."""
    return text if len(text) <= 2 * WINDOW else f"{text[:WINDOW]} {text[-WINDOW:]}"


def text_features(text: str) -> TextFeatures:
    """Count what there is to count; every value is finite, for the empty text too."""
    raw = _utf8(window(text).lower())
    words = raw.translate(_WORDS_ONLY).split()
    numbers = len(raw.translate(_NUMBERS_ONLY).split())
    lengths = list(map(len, words))
    counts = Counter(words)
    content = {word: count for word, count in counts.items() if len(word) >= CONTENT_LETTERS}
    content_count = sum(content.values())
    content_letters = sum(map(mul, map(len, content), content.values()))
    return TextFeatures(
        length=math.log(max(1, len(text))),
        repetition=sum([count for count in content.values() if count > 1]) / max(1, content_count),
        richness=_richness(len(content), content_count),
        recurrence=math.log(max(content.values(), default=1)),
        content_length=_mean(content_letters, content_count, TYPICAL_CONTENT_LENGTH),
        spread=_deviation(lengths),
        long_words=_mean(len([1 for length in lengths if length >= LONG_LETTERS]), len(words), TYPICAL_LONG_WORDS),
        function_words=_mean(_count(counts, FUNCTION_WORDS), len(words), TYPICAL_FUNCTION_WORDS),
        comparing_words=_mean(_count(counts, COMPARING_WORDS), len(words)),
        condition_words=_mean(_count(counts, CONDITION_WORDS), len(words)),
        number_words=_mean(_count(counts, NUMBER_WORDS) + numbers, len(words) + numbers),
        symbols=_mean(len(raw) - len(raw.translate(None, SYMBOLS)), len(raw)),
        commas=_mean(raw.count(b","), len(words)),
    )


def _mean(total: float, count: int, typical: float = 0.0) -> float:
    """Drawn towards what is typical, the more the less there is to count; see `DOUBT`."""
    return (total + DOUBT * typical) / (count + DOUBT)


def _richness(different: int, count: int) -> float:
    return math.log(different + 1) / math.log(count + 1) if count else 1.0


def _count(counts: Mapping[bytes, int], group: frozenset[bytes]) -> int:
    return sum(map(counts.__getitem__, counts.keys() & group))


def _deviation(values: Sequence[int]) -> float:
    mean = sum(values) / max(1, len(values))
    squares = sum(map(mul, values, values)) - mean * mean * len(values)
    return math.sqrt(_mean(max(0.0, squares), len(values), TYPICAL_SPREAD**2))
