"""The heads that are shipped: what they are trained from, and the files they are written to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fitting import fit

from mixserve.route.complexity.embedding import HEAD as EMBEDDING
from mixserve.route.complexity.embedding import NAMES, embedding_features
from mixserve.route.complexity.heuristic import HEAD as HEURISTIC
from mixserve.route.complexity.text_features import TextFeatures, text_features
from mixserve.route.complexity.word_vectors import WordVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labels import Labels, Numbers

FOLDER = Path(__file__).parents[3] / "operator" / "mixserve" / "route" / "complexity" / "heads"
ABOUT = "Made by `make train-routing`; docs/routing-quality.md says from what."


@dataclass(frozen=True)
class Recipe:
    """What one head is trained on."""

    file: str
    names: tuple[str, ...]
    features: Callable[[str], Sequence[float]]


def recipes() -> dict[str, Recipe]:
    """By the classifier's name."""
    vectors = WordVectors.shipped()
    return {
        "Heuristic": Recipe(HEURISTIC, TextFeatures._fields, text_features),
        "Embedding": Recipe(EMBEDDING, NAMES, lambda text: embedding_features(text, vectors)),
    }


def matrix(recipe: Recipe, labels: Labels) -> Numbers:
    """The features of every prompt, a row each."""
    return np.array([recipe.features(prompt) for prompt in labels.prompts])


def shipped_heads(labels: Labels) -> Iterator[tuple[Path, str]]:
    """Every head with the text of its file, trained on all subjects."""
    rows = np.arange(len(labels.prompts))
    for recipe in recipes().values():
        document, _ = fit(labels, rows, matrix(recipe, labels), names=recipe.names)
        yield FOLDER / f"{recipe.file}.json", text_of(document)


def text_of(document: dict[str, Any]) -> str:
    """As it stands in the file: one curve a line."""
    curves = ",\n".join(f"    {json.dumps(name)}: {json.dumps(curve)}" for name, curve in document["curves"].items())
    thresholds = json.dumps(document["thresholds"])
    return f'{{\n  "about": {json.dumps(ABOUT)},\n  "thresholds": {thresholds},\n  "curves": {{\n{curves}\n  }}\n}}\n'
