"""The newest signals of every engine."""

from __future__ import annotations

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.autoscale.fleet import FRESH_S

_NOT_SCRAPED = Missing(MissingReason.NOT_SCRAPED)


class Samples:
    """What the last scrapes said, by uid of the pod.

    A scrape that fails does not take away the sample before it while that is fresh: one lost scrape changes nothing.
    """

    def __init__(self) -> None:
        self._samples: dict[str, EngineSample] = {}
        self._missing: dict[str, Missing] = {}

    def take(self, uid: str, scraped: EngineSample | Missing) -> None:
        """Take the outcome of a scrape."""
        if isinstance(scraped, EngineSample):
            self._samples[uid] = scraped
            self._missing.pop(uid, None)
        else:
            self._missing[uid] = scraped

    def newest(self, uid: str, *, now_s: float) -> EngineSample | Missing:
        """The newest sample if it is fresh, else why there is none."""
        sample = self._samples.get(uid)
        if sample is not None and now_s - sample.scraped_at_s <= FRESH_S:
            return sample
        if uid in self._missing:
            return self._missing[uid]
        return _NOT_SCRAPED if sample is None else Missing(MissingReason.STALE, "the last sample is too old")

    def knows(self, uid: str) -> bool:
        """Whether the pod was scraped with success once."""
        return uid in self._samples

    def tried(self, uid: str) -> bool:
        """Whether the pod was scraped at all."""
        return uid in self._samples or uid in self._missing

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        self._samples.pop(uid, None)
        self._missing.pop(uid, None)
