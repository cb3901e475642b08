"""Labelled prompts: whether a small and a large model answered each one rightly, and the subject it belongs to."""

from __future__ import annotations

import csv
import gzip
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Rows = NDArray[np.intp]

SAMPLE_PROMPTS = 120
"""In each subject of the sample that is made when there is no file."""


@dataclass(frozen=True)
class Labels:
    """One entry per prompt, in the order of the file; `small` and `large` are 1 where that model was right, else 0."""

    prompts: Sequence[str]
    subjects: Sequence[str]
    small: Numbers
    large: Numbers

    @property
    def names(self) -> list[str]:
        return sorted(set(self.subjects))

    def rows_of(self, subjects: Sequence[str]) -> Rows:
        wanted = set(subjects)
        return np.flatnonzero([subject in wanted for subject in self.subjects])


def read_labels(path: Path) -> Labels:
    """A CSV file, gzipped: suite, prompt, small_correct, large_correct (0 or 1)."""
    csv.field_size_limit(10**7)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Labels(
        prompts=[row["prompt"] for row in rows],
        subjects=[row["suite"] for row in rows],
        small=np.array([float(row["small_correct"]) for row in rows]),
        large=np.array([float(row["large_correct"]) for row in rows]),
    )


def sample_labels(seed: int = 0) -> Labels:
    """Made-up questions of four kinds, two subjects each, with made-up results: enough to run everything once."""
    dice = random.Random(seed)  # noqa: S311 - a sample, not a secret
    rows = [
        (f"{kind}-{number}", *question)
        for kind, questions in (("sum", _sums), ("story", _stories), ("word", _words), ("rule", _rules))
        for number in range(2)
        for question in questions(dice)
    ]
    return Labels(
        prompts=[row[1] for row in rows],
        subjects=[row[0] for row in rows],
        small=np.array([float(dice.random() > row[2]) for row in rows]),
        large=np.array([float(dice.random() > row[2] / 3) for row in rows]),
    )


def _sums(dice: random.Random) -> Iterator[tuple[str, float]]:
    for _ in range(SAMPLE_PROMPTS):
        numbers = [dice.randint(2, 99) for _ in range(dice.randint(2, 6))]
        yield "What is " + " + ".join(map(str, numbers)) + "?", 0.1 * len(numbers)


def _stories(dice: random.Random) -> Iterator[tuple[str, float]]:
    for _ in range(SAMPLE_PROMPTS):
        steps = dice.randint(1, 5)
        moves = " ".join(f"Then he {dice.choice(('buys', 'sells'))} {dice.randint(2, 9)} apples." for _ in range(steps))
        yield f"A farmer has {dice.randint(10, 50)} apples. {moves} How many apples does he have now?", 0.12 * steps


def _words(dice: random.Random) -> Iterator[tuple[str, float]]:
    things = ("photosynthesis", "jurisprudence", "sedimentation", "counterpoint", "perspiration")
    for _ in range(SAMPLE_PROMPTS):
        yield f"Which of these best describes {dice.choice(things)}, as taught in introductory textbooks?", 0.15


def _rules(dice: random.Random) -> Iterator[tuple[str, float]]:
    for _ in range(SAMPLE_PROMPTS):
        depth = dice.randint(1, 4)
        rules = " ".join(f"If {letter} is true then {chr(ord(letter) + 1)} is true." for letter in "PQRS"[:depth])
        yield f"{rules} P is true. Is {'PQRST'[depth]} true?", 0.15 * depth
