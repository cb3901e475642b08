"""What can be told of a text without its words: length, numbers and symbols, which are much the same in all scripts.

The features of words are made for English, and there are no labelled prompts in other scripts, so their terms are left
out: a text is as hard as its length and its signs of a calculation make it, and in the middle where those say little.
"""

import math
import re
from unicodedata import normalize

from mixserve.route.complexity.additive import AdditiveModel
from mixserve.route.complexity.score import MIDDLE, Complexity
from mixserve.route.complexity.text_features import DOUBT, SYMBOLS, window

DENSE_LETTERS = 2.5
"""English letters for a character of Chinese, Japanese or Korean: a translation into Chinese has about a third of the
characters that the English text has, one into the other two about half. Alphabets need about as many as English."""
WORD_LETTERS = 6
"""Of an average English word, with the space behind it: not all scripts have spaces between words."""

_DENSE = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]+")
_NUMBER = re.compile(r"\d+")


def judge_wordless(text: str, model: AdditiveModel) -> Complexity:
    """The score by what can be told; `MIDDLE` where there is no text at all.

    Args:
        text: in whatever script.
        model: its curves for length, number_words and symbols count.
    """
    if not text or text.isspace():
        return Complexity(MIDDLE, "not judged: no text")
    told = _told(text)
    score, reason = model.judge([told.get(curve.name) for curve in model.curves])
    return Complexity(score, f"no Latin script, words not judged: {reason}")


def _told(text: str) -> dict[str, float]:
    # Signs as wide as an ideograph are the same signs.
    seen = normalize("NFKC", window(text))
    dense = len(seen) - len(_DENSE.sub("", seen))
    letters_per_character = 1 + (DENSE_LETTERS - 1) * dense / max(1, len(seen))
    letters = letters_per_character * len(seen)
    raw = seen.encode(errors="replace")
    numbers = len(_NUMBER.findall(seen))
    return {
        "length": math.log(max(1.0, letters_per_character * len(text))),
        "number_words": numbers / (letters / WORD_LETTERS + numbers + DOUBT),
        "symbols": (len(raw) - len(raw.translate(None, SYMBOLS))) / (letters + DOUBT),
    }
