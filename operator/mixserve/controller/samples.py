"""The newest signals of every engine."""

from __future__ import annotations

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.autoscale.fleet import FRESH_S

_NOT_SCRAPED = Missing(MissingReason.NOT_SCRAPED)

# An engine that has just become ready may not answer at first; only the third failure in a row is one.
_FAILURES_IN_A_ROW = 3


class Samples:
    """What the last scrapes said, by uid of the pod.

    A scrape that fails does not take away the sample before it while that is fresh, and where there was none before, it
    says nothing yet: one lost scrape changes nothing.
    """

    def __init__(self) -> None:
        self._samples: dict[str, EngineSample] = {}
        self._failures: dict[str, tuple[Missing, int]] = {}

    def take(self, uid: str, scraped: EngineSample | Missing) -> None:
        """Take the outcome of a scrape."""
        if isinstance(scraped, EngineSample):
            self._samples[uid] = scraped
            self._failures.pop(uid, None)
        else:
            _, before = self._failures.get(uid, (scraped, 0))
            self._failures[uid] = (scraped, before + 1)

    def newest(self, uid: str, *, now_s: float) -> EngineSample | Missing:
        """The newest sample if it is fresh, else why there is none."""
        sample = self._samples.get(uid)
        if sample is not None and now_s - sample.scraped_at_s <= FRESH_S:
            return sample
        failure, failures = self._failures.get(uid, (_NOT_SCRAPED, 0))
        if sample is None:
            return failure if failures >= _FAILURES_IN_A_ROW else _NOT_SCRAPED
        return failure if failures else Missing(MissingReason.STALE, "the last sample is too old")

    def knows(self, uid: str) -> bool:
        """Whether the pod was scraped with success once."""
        return uid in self._samples

    def tried(self, uid: str) -> bool:
        """Whether the pod was scraped at all."""
        return uid in self._samples or uid in self._failures

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        self._samples.pop(uid, None)
        self._failures.pop(uid, None)
