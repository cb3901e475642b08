"""What is compared: each arm gives the prompts of a split a score, the larger the harder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fitting import fit, raw_scores

from mixserve.route.complexity.text_features import TextFeatures, text_features

if TYPE_CHECKING:
    from collections.abc import Callable

    from labels import Labels, Numbers
    from measures import Split

    Arm = Callable[[Split], Numbers]
    """Scores for the rows to judge; whatever is learnt is learnt from the other rows."""


def arms(labels: Labels) -> dict[str, Arm]:
    """By name, in the order of the table."""
    lots = np.random.default_rng(2).random(len(labels.prompts))
    lengths = np.array([float(len(prompt)) for prompt in labels.prompts])
    features = np.array([text_features(prompt) for prompt in labels.prompts])
    gain = labels.large - labels.small
    return {
        "random": lambda split: lots[split.test],
        "prompt length": lambda split: lengths[split.test],
        "Heuristic": learnt(labels, features, TextFeatures._fields),
        "(knowing how much each subject gains)": lambda split: by_subject(labels, gain)[split.test],
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
