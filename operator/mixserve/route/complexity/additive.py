"""A model that adds up one curve per feature: small, quick, and each sum can be told term by term."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from mixserve.route.complexity.score import EASIEST, HARDEST, Complexity, graded

TOLD_TERMS = 2
"""How many terms a reason names: the largest ones."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a feature adds to the score: straight between the knots, level beyond the first and the last.

    Attributes:
        name: the feature.
        knots: its values, ascending, one or more.
        adds: what is added at each of them.
    """

    name: str
    knots: tuple[float, ...]
    adds: tuple[float, ...]

    def at(self, value: float) -> float:
        """What the feature adds where it has this value."""
        right = bisect_right(self.knots, value)
        if right == 0:
            return self.adds[0]
        if right == len(self.knots):
            return self.adds[-1]
        left = right - 1
        part = (value - self.knots[left]) / (self.knots[right] - self.knots[left])
        return self.adds[left] + part * (self.adds[right] - self.adds[left])


@dataclass(frozen=True, slots=True)
class AdditiveModel:
    """One curve for each feature, in the order of the features, and the thresholds from a sum to a score of 1 to 5."""

    curves: tuple[Curve, ...]
    thresholds: tuple[float, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "AdditiveModel":
        """From a file in `heads/`, or one that training is about to write there."""
        curves = tuple(
            Curve(name, tuple(curve["knots"]), tuple(curve["adds"])) for name, curve in document["curves"].items()
        )
        thresholds = tuple(document["thresholds"])
        assert len(thresholds) == HARDEST - EASIEST, "one threshold between two scores"
        return cls(curves, thresholds)

    @classmethod
    def shipped(cls, name: str) -> "AdditiveModel":
        """The model in `heads/` with that name."""
        head = resources.files("mixserve.route.complexity").joinpath("heads", f"{name}.json")
        return cls.parse(json.loads(head.read_text("utf-8")))

    def judge(self, values: Sequence[float | None]) -> Complexity:
        """The score for these features, with the terms that decided most; `meaning.0`, `meaning.1` ... are one term.

        A feature that cannot be told is None, and adds nothing, as a typical one does.
        """
        told: dict[str, float] = {}
        for curve, term in zip(self.curves, self.terms(values), strict=True):
            group = curve.name.partition(".")[0]
            told[group] = told.get(group, 0.0) + term
        raw = sum(told.values())
        largest = sorted(told.items(), key=_size, reverse=True)[:TOLD_TERMS]
        reason = ", ".join(f"{name} {term:+.2f}" for name, term in largest)
        return Complexity(graded(raw, self.thresholds), f"{raw:+.2f}: {reason}")

    def raw(self, values: Sequence[float | None]) -> float:
        """The sum that is graded: the larger, the harder; no unit."""
        return sum(self.terms(values))

    def terms(self, values: Sequence[float | None]) -> list[float]:
        """What each feature adds."""
        return [0.0 if value is None else curve.at(value) for curve, value in zip(self.curves, values, strict=True)]


def _size(term: tuple[str, float]) -> float:
    return abs(term[1])
