"""The classifier that also looks at what a text is about: word vectors beside the features of the Heuristic.

On subjects that it has not seen it is no better than the Heuristic (docs/routing-quality.md). It is meant for a head
that is trained on prompts of one's own, where the subjects of tomorrow are those of today.
"""

from mixserve.route.complexity.additive import AdditiveModel
from mixserve.route.complexity.heuristic import HEAD as HEURISTIC_HEAD
from mixserve.route.complexity.score import Complexity, judged
from mixserve.route.complexity.text_features import DOUBT, TextFeatures, counted_words, is_latin, text_features
from mixserve.route.complexity.word_vectors import DIMENSIONS, WordVectors
from mixserve.route.complexity.wordless import judge_wordless
from mixserve.route.request import Prompt

HEAD = "embedding"
"""The file in `heads/`."""

MEANING = tuple(f"meaning.{dimension}" for dimension in range(DIMENSIONS))
NAMES = (*TextFeatures._fields, *MEANING)
"""Of the features, in the order of `embedding_features`."""


def embedding_features(text: str, vectors: WordVectors) -> tuple[float, ...]:
    """The features of the Heuristic, then the mean of the word vectors."""
    return (*text_features(text), *vectors.mean(counted_words(text), doubt=DOUBT))


class Embedding:
    """Word vectors with a trained head; below 0.3 ms for any prompt, without numpy or torch."""

    def __init__(self, model: AdditiveModel | None = None, vectors: WordVectors | None = None) -> None:
        self._model = model or AdditiveModel.shipped(HEAD)
        self._vectors = vectors or WordVectors.shipped()
        self._without_words = AdditiveModel.shipped(HEURISTIC_HEAD)
        assert tuple(curve.name for curve in self._model.curves) == NAMES, "the head has other features"

    def __call__(self, prompt: Prompt) -> Complexity:
        """Judge what the user asks now."""
        text = judged(prompt).text
        if not is_latin(text):
            return judge_wordless(text, self._without_words)
        return self._model.judge(embedding_features(text, self._vectors))
