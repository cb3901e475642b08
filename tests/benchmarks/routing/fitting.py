"""Training: from features and labels to the additive model that is shipped, or that a split is judged with.

Every feature goes through a curve of normal scores (which value is how unusual), so that no long tail and no unit
matters. A ridge regression weighs the curves. What is predicted and how hard the weights are held back is chosen on
halves of the subjects at hand, never on those that are judged later.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from measures import quality, random_splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labels import Labels, Numbers, Rows

KNOTS = 16
INNER_SPLITS = 8
DIGITS = 4
"""After the decimal point, in the file: what differs between two libraries of linear algebra lies far below."""

TARGETS = ("small is wrong", "small is wrong, and large is right counts double")
PENALTIES = (1_000.0, 10_000.0, 100_000.0)
"""Held against weights that are fitted to some thousand prompts: light to so strong that each feature stands alone."""


@dataclass(frozen=True)
class Choice:
    """What training has to decide beside the weights."""

    target: str
    penalty: float


def fit(labels: Labels, rows: Rows, features: Numbers, *, names: Sequence[str]) -> tuple[dict[str, Any], Choice]:
    """The document of an additive model, trained on these rows.

    Args:
        labels: of all prompts.
        rows: those to learn from.
        features: of all prompts, one row each.
        names: of the features, in the order of the columns.
    """
    choice = _chosen(labels, rows, features)
    return _fitted(labels, rows, features, names=names, choice=choice), choice


def raw_scores(document: dict[str, Any], features: Numbers) -> Numbers:
    """What `AdditiveModel.raw` says for each row, all at once."""
    curves = document["curves"].values()
    return np.sum(
        [np.interp(column, curve["knots"], curve["adds"]) for column, curve in zip(features.T, curves, strict=True)],
        axis=0,
    )


def _chosen(labels: Labels, rows: Rows, features: Numbers) -> Choice:
    choices = [Choice(target, penalty) for target in TARGETS for penalty in PENALTIES]
    found = dict.fromkeys(choices, 0.0)
    names = [str(column) for column in range(features.shape[1])]
    for split in random_splits(labels, count=INNER_SPLITS, seed=1, among=rows):
        for choice in choices:
            document = _fitted(labels, split.train, features, names=names, choice=choice)
            found[choice] += quality(labels, split.test, raw_scores(document, features[split.test])).apgr
    return max(choices, key=lambda choice: found[choice])


def _fitted(labels: Labels, rows: Rows, features: Numbers, *, names: Sequence[str], choice: Choice) -> dict[str, Any]:
    curves = [_normal_scores(column) for column in features[rows].T]
    placed = np.column_stack(
        [np.interp(features[rows, index], *curve) for index, curve in enumerate(curves)],
    )
    means, spreads = placed.mean(axis=0), placed.std(axis=0) + 1e-9
    weights = _ridge((placed - means) / spreads, _target(labels, rows, choice.target), choice.penalty) / spreads
    document = {
        "curves": {
            name: {"knots": _rounded(knots), "adds": _rounded(weight * (levels - mean))}
            for name, (knots, levels), weight, mean in zip(names, curves, weights, means, strict=True)
        }
    }
    raw = raw_scores(document, features[rows])
    return document | {"thresholds": _rounded(np.quantile(raw, (0.2, 0.4, 0.6, 0.8)))}


def _normal_scores(column: Numbers) -> tuple[Numbers, Numbers]:
    """Quantiles of the values and the normal scores that belong to them; one knot where several have one value."""
    ranks = (np.arange(KNOTS) + 0.5) / KNOTS
    values = np.round(np.quantile(column, ranks), DIGITS)
    scores = np.array([NormalDist().inv_cdf(rank) for rank in ranks])
    knots = np.unique(values)
    return knots, np.array([scores[values == knot].mean() for knot in knots])


def _target(labels: Labels, rows: Rows, name: str) -> Numbers:
    small, large = labels.small[rows], labels.large[rows]
    return 1 - small if name == TARGETS[0] else 1 - small + large - small


def _ridge(placed: Numbers, target: Numbers, penalty: float) -> Numbers:
    """Weights per standard deviation; their size is brought back, since a penalty changes no order between prompts."""
    inner = placed.T @ placed + penalty * np.eye(placed.shape[1])
    weights: Numbers = np.linalg.solve(inner, placed.T @ (target - target.mean()))
    return weights / max(float(np.std(placed @ weights)), 1e-12)


def _rounded(values: Numbers) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
