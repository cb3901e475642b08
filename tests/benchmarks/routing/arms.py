"""What is compared: each arm gives the prompts of a split a score, the larger the harder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fitting import fit, raw_scores
from heads import matrix, recipes

from mixserve.route.complexity.embedding import MEANING

if TYPE_CHECKING:
    from collections.abc import Callable

    from labels import Labels, Numbers
    from measures import Split

    Arm = Callable[[Split], Numbers]
    """Scores for the rows to judge; whatever is learnt is learnt from the other rows."""


LENGTH = "prompt length"
"""What every classifier is compared with: characters of the prompt, the longer the harder."""


GROUPS = {
    "  only how often words come again": ("repetition", "richness", "recurrence"),
    "  only how long and plain words are": ("content_length", "spread", "long_words", "function_words"),
    "  only numbers, comparisons and symbols": (
        *("comparing_words", "condition_words", "number_words", "symbols", "commas"),
    ),
}
"""Parts of the Heuristic, to see what each is worth."""


def arms(labels: Labels) -> dict[str, Arm]:
    """By name, in the order of the table."""
    lots = np.random.default_rng(2).random(len(labels.prompts))
    lengths = np.array([float(len(prompt)) for prompt in labels.prompts])
    trained = {name: (matrix(recipe, labels), recipe.names) for name, recipe in recipes().items()}

    def part(names: tuple[str, ...]) -> Arm:
        features, columns = trained["Embedding"]
        return learnt(labels, features[:, [columns.index(name) for name in names]], names)

    gain = labels.large - labels.small
    return {
        "random": lambda split: lots[split.test],
        LENGTH: lambda split: lengths[split.test],
        "Heuristic": learnt(labels, *trained["Heuristic"]),
        **{name: part(features) for name, features in GROUPS.items()},
        "Embedding": learnt(labels, *trained["Embedding"]),
        "  only word vectors": part(MEANING),
        "(knowing how much each subject gains)": lambda split: by_subject(labels, gain)[split.test],
        "(the same, and the Heuristic within it)": within(labels, gain, *trained["Heuristic"]),
        "(knowing the answers)": lambda split: gain[split.test],
    }


def learnt(labels: Labels, features: Numbers, names: tuple[str, ...]) -> Arm:
    def scores(split: Split) -> Numbers:
        document, _ = fit(labels, split.train, features, names=names)
        return raw_scores(document, features[split.test])

    return scores


def by_subject(labels: Labels, values: Numbers) -> Numbers:
    """The mean of the values over the subject of each prompt."""
    subjects = np.array(labels.subjects)
    means = {name: values[subjects == name].mean() for name in labels.names}
    return np.array([means[subject] for subject in labels.subjects])


WITHIN_WEIGHT = 0.03
"""Gain for one standard deviation of the Heuristic within its subject: the best one, with all answers seen."""


def within(labels: Labels, gain: Numbers, features: Numbers, names: tuple[str, ...]) -> Arm:
    """As far as an order can come that knows the gain of each subject, and no answer."""

    def scores(split: Split) -> Numbers:
        document, _ = fit(labels, split.train, features, names=names)
        raw = raw_scores(document, features)
        raw = (raw - by_subject(labels, raw)) / raw.std()
        return (by_subject(labels, gain) + WITHIN_WEIGHT * raw)[split.test]

    return scores
