"""The heads that are shipped: what they are trained from, and the files they are written to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fitting import fit

from mixserve.route.complexity.heuristic import HEAD as HEURISTIC
from mixserve.route.complexity.text_features import TextFeatures, text_features

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labels import Labels

FOLDER = Path(__file__).parents[3] / "operator" / "mixserve" / "route" / "complexity" / "heads"
ABOUT = "Made by `make train-routing`; docs/routing-quality.md says from what."


def shipped_heads(labels: Labels) -> Iterator[tuple[Path, str]]:
    """Every head with the text of its file, trained on all subjects."""
    rows = np.arange(len(labels.prompts))
    features = np.array([text_features(prompt) for prompt in labels.prompts])
    document, _ = fit(labels, rows, features, names=TextFeatures._fields)
    yield FOLDER / f"{HEURISTIC}.json", text_of(document)


def text_of(document: dict[str, Any]) -> str:
    """As it stands in the file: one curve a line."""
    curves = ",\n".join(f"    {json.dumps(name)}: {json.dumps(curve)}" for name, curve in document["curves"].items())
    thresholds = json.dumps(document["thresholds"])
    return f'{{\n  "about": {json.dumps(ABOUT)},\n  "thresholds": {thresholds},\n  "curves": {{\n{curves}\n  }}\n}}\n'
