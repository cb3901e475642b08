"""How much of the large model's quality is kept for which share of the prompts, by classifier, on unseen subjects.

make bench-routing                                 # BENCH_ARGS="--splits 10 --labels FILE"
make train-routing                                 # writes the heads that are shipped; --check: compares them
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from arms import LENGTH, arms
from fitting import fit, raw_scores
from heads import matrix, recipes, shipped_heads
from labels import Labels, read_labels, sample_labels
from measures import KEPT_QUALITY, Quality, fixed_split, quality, random_splits

from mixserve.route.complexity.embedding import Embedding
from mixserve.route.complexity.heuristic import Heuristic
from mixserve.route.request import Message, Prompt

if TYPE_CHECKING:
    from mixserve.route.complexity.score import Classifier

GOAL_APGR = 0.66
ROOT = Path(__file__).parents[3]
LABELS = ROOT.parent / "shared" / "routing" / "routellm-dev.csv.gz"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, default=LABELS, help="CSV, gzipped: suite, prompt, small_correct, ...")
    parser.add_argument("--splits", type=int, default=20, help="random halves of the subjects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", action="store_true", help="write the heads that are shipped, from all subjects")
    parser.add_argument("--check", action="store_true", help="with --train: compare, and write nothing")
    options = parser.parse_args()
    if options.train:
        return train(options.labels, check=options.check)
    labels = read_labels(options.labels) if options.labels.exists() else sample_labels()
    source = (
        options.labels if options.labels.exists() else "a small sample made by the project: its figures say nothing"
    )
    print(f"{len(labels.prompts)} prompts of {len(labels.names)} subjects, from {source}")
    table(labels, splits=options.splits, seed=options.seed)
    scores(labels)
    costs(labels)
    return 0


def train(path: Path, *, check: bool) -> int:
    different = 0
    for file, text in shipped_heads(read_labels(path)):
        same = file.exists() and file.read_text("utf-8") == text
        different += not same
        if not check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, "utf-8")
        print(f"{file.relative_to(ROOT)}: {'as it was' if same else 'different'}")
    return min(1, different) if check else 0


def table(labels: Labels, *, splits: int, seed: int) -> None:
    print(f"always small: {labels.small.mean():.1%} right; always large: {labels.large.mean():.1%} right\n")
    print(f"{'':40} {splits} random halves of the subjects                    fixed split")
    print(f"{'':40} APGR  (10th-90th)  above length  share for {KEPT_QUALITY:.0%}    APGR  share")
    drawn = list(random_splits(labels, count=splits, seed=seed))
    fixed = fixed_split(labels)
    compared = arms(labels)
    lengths = [quality(labels, split.test, compared[LENGTH](split)) for split in drawn]
    for name, arm in compared.items():
        found = [quality(labels, split.test, arm(split)) for split in drawn]
        wins = sum(each.apgr > length.apgr for each, length in zip(found, lengths, strict=True))
        row(name, found, quality(labels, fixed.test, arm(fixed)), wins=wins)
    print(f"\nmedians; the goal is an APGR of {GOAL_APGR} on subjects that were not trained on")


def row(name: str, found: list[Quality], fixed: Quality, *, wins: int) -> None:
    low, middle, high = np.quantile([each.apgr for each in found], (0.1, 0.5, 0.9))
    share = np.median([each.share for each in found])
    above = f"{wins} of {len(found)}"
    print(
        f"{name:40} {middle:.3f} ({low:.3f}-{high:.3f}) {above:>12} {share:14.0%} {fixed.apgr:11.3f} {fixed.share:6.0%}"
    )


def scores(labels: Labels) -> None:
    """What the five scores of the default mean: on the fixed split, with a head of its training subjects."""
    split = fixed_split(labels)
    recipe = recipes()["Heuristic"]
    features = matrix(recipe, labels)
    document, _ = fit(labels, split.train, features, names=recipe.names)
    found = 1 + np.searchsorted(document["thresholds"], raw_scores(document, features[split.test]), side="right")
    small, large = labels.small[split.test], labels.large[split.test]
    print("\nHeuristic, fixed split: share of the prompts with a score, and how often the models are right there;")
    print("if these and harder ones go to the large model: its share, and how often the answers are right")
    print("score    share   small   large      to large   right")
    for score in range(1, 6):
        here, sent = found == score, found >= score
        right = np.where(sent, large, small).mean()
        print(
            f"{score:5} {here.mean():8.0%} {small[here].mean():7.1%} {large[here].mean():7.1%} {sent.mean():13.0%} "
            f"{right:7.1%}"
        )


def costs(labels: Labels) -> None:
    """CPU per prompt of what is shipped."""
    print()
    for classifier in (Heuristic(), Embedding()):
        for characters in (250, 1000, 4000, 200_000):
            cost_us = cpu_us(classifier, " ".join(labels.prompts)[:characters])
            print(f"{type(classifier).__name__}: {cost_us:6.0f} us of CPU for a prompt of {characters} characters")


def cpu_us(classifier: Classifier, text: str, *, repetitions: int = 300) -> float:
    prompt = Prompt((Message("user", text),))
    began_s = time.process_time()
    for _ in range(repetitions):
        classifier(prompt)
    return (time.process_time() - began_s) / repetitions * 1e6


if __name__ == "__main__":
    sys.exit(main())
