"""How good an order of prompts is, when the hardest go to the large model first; and the splits it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labels import Labels, Numbers, Rows

KEPT_QUALITY = 0.95
"""Of the large model's share of right answers."""


@dataclass(frozen=True)
class Quality:
    """What an order of prompts achieves.

    Attributes:
        apgr: average of the gain over always-small, as a share of the large model's gain, over all shares of prompts
            that go to the large model, from none to all. 0.5 is an order that knows nothing.
        share: of the prompts, from 0 to 1, that has to go to the large model until the answers are as often right as
            `KEPT_QUALITY` of the large model's.
    """

    apgr: float
    share: float


def quality(labels: Labels, rows: Rows, scores: Numbers) -> Quality:
    """Judge scores, one for each of the rows, the larger the harder; equal ones come in an order drawn by lot."""
    lots = np.random.default_rng(0).random(len(rows))
    order = rows[np.lexsort((lots, -scores))]
    small, large = labels.small[order], labels.large[order]
    gain = np.concatenate([[0.0], np.cumsum(large - small)])
    recovered = gain / gain[-1]
    enough = small.sum() + gain >= KEPT_QUALITY * large.sum()
    return Quality(
        apgr=float(np.mean((recovered[1:] + recovered[:-1]) / 2)),
        share=float(np.argmax(enough)) / len(rows),
    )


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge, with no subject in both."""

    train: Rows
    test: Rows


def fixed_split(labels: Labels) -> Split:
    """The first, third, fifth ... subject in alphabetical order to learn from, the others to judge."""
    return _split(labels, labels.names[::2])


def random_splits(labels: Labels, *, count: int, seed: int, among: Rows | None = None) -> Iterator[Split]:
    """Halves of the subjects, drawn by lot; `among`: only of the subjects of these rows."""
    rows = np.arange(len(labels.prompts)) if among is None else among
    names = sorted({labels.subjects[row] for row in rows})
    lots = np.random.default_rng(seed)
    for _ in range(count):
        drawn = lots.permutation(len(names))[: len(names) // 2]
        yield _split(labels, [names[index] for index in drawn], among=rows)


def _split(labels: Labels, train: list[str], *, among: Rows | None = None) -> Split:
    rows = np.arange(len(labels.prompts)) if among is None else among
    learnt = np.isin(rows, labels.rows_of(train))
    return Split(rows[learnt], rows[~learnt])
