"""What came of speculative decoding lately, by variant: from the scrapes, each of which counts once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixserve.api.observation import EngineSample, SpeculationCounts
from mixserve.status.acceptance import WINDOW_S, Acceptance, Tally, acceptance_of, tally, within_window

if TYPE_CHECKING:
    from collections.abc import Collection

    from mixserve.api.observation import Missing
    from mixserve.controller.object_cache import PoolKey


@dataclass(frozen=True)
class Lately:
    """A variant's last minutes.

    Attributes:
        acceptance: how good the proposals were, or None.
        batch: mean number of requests at once in a replica that had any, or None.
    """

    acceptance: Acceptance | None
    batch: float | None


NOTHING_LATELY = Lately(None, None)


@dataclass
class _Window:
    tallies: deque[Tally] = field(default_factory=deque)
    running: deque[tuple[float, int]] = field(default_factory=deque)


class SpeculationWatch:
    """Takes what engines that speculate count, and keeps the last minutes of it."""

    def __init__(self) -> None:
        self._before: dict[str, SpeculationCounts] = {}
        self._windows: dict[tuple[PoolKey, str], _Window] = {}

    def take(self, key: PoolKey, *, variant: str, uid: str, sample: EngineSample | Missing) -> None:
        """Take one scrape of the pod with this uid; what has no counters is of no interest."""
        if not isinstance(sample, EngineSample) or not isinstance(sample.speculation, SpeculationCounts):
            return
        counts, at_s = sample.speculation, sample.scraped_at_s
        window = self._windows.setdefault((key, variant), _Window())
        happened = tally(self._before.get(uid), counts, at_s=at_s)
        self._before[uid] = counts
        if happened is not None:
            window.tallies.append(happened)
        if sample.running:
            window.running.append((at_s, sample.running))
        _prune(window, at_s)

    def lately(self, key: PoolKey, variant: str, *, now_s: float) -> Lately:
        """The last minutes of a variant."""
        window = self._windows.get((key, variant))
        if window is None:
            return NOTHING_LATELY
        running = [count for at_s, count in window.running if now_s - at_s <= WINDOW_S]
        return Lately(
            acceptance=acceptance_of(within_window(window.tallies, now_s=now_s)),
            batch=sum(running) / len(running) if running else None,
        )

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        self._before.pop(uid, None)

    def keep(self, variants: Collection[tuple[PoolKey, str]]) -> None:
        """Drop the variants of pools that are not among these."""
        self._windows = {known: window for known, window in self._windows.items() if known in variants}


def _prune(window: _Window, now_s: float) -> None:
    while window.tallies and now_s - window.tallies[0].at_s > WINDOW_S:
        window.tallies.popleft()
    while window.running and now_s - window.running[0][0] > WINDOW_S:
        window.running.popleft()
