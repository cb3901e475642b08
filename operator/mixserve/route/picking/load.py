"""The load of a pool's endpoints between two scrapes, in requests whose prompts are still to be computed.

    load = waiting + running_weight * running + own picks since the sample before the last

A pick counts by the length of its prompt, since that is what those behind it wait for. It counts until the second
sample after it: an engine's numbers are those of its last step, in which the newest requests are not yet. The picks of
another replica of the gateway are not known; bounds that are relative to the mean allow for that.

An endpoint without fresh metrics is never idle: it counts as the busiest of those that have some, and our picks on top.
Nothing says when those end, so they are forgotten by halves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.route.picking.tuning import TUNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.api.observation import EngineSample
    from mixserve.route.picking.endpoint import Endpoint
    from mixserve.route.picking.tuning import Tuning

FULL_KV_CACHE = 0.95
"""From this usage on an engine preempts rather than admits, so it counts as the busiest, whatever it runs."""
# In mean prompts: one prompt of a million tokens is refused by most engines, and must not close its endpoint for long.
_LONGEST = 5.0
# Of the mean length of prompts, by the newest.
_MEAN_STEP = 0.02
_FIRST_MEAN_LENGTH = 4000.0


def sample_load(sample: EngineSample, running_weight: float = TUNING.running_weight) -> float:
    """Load of an engine at a scrape, >= 0."""
    return sample.waiting + running_weight * sample.running


class Loads:
    """Loads of the endpoints by their position.

    Attributes:
        requests: load of each endpoint, >= 0.
        total: their sum.
        blind: no endpoint has fresh metrics.
    """

    def __init__(self, tuning: Tuning = TUNING) -> None:
        self._tuning = tuning
        self.requests: list[float] = []
        self.total = 0.0
        self.blind = True
        self._mean_length = _FIRST_MEAN_LENGTH
        self._known: list[_Known] = []

    def update(self, endpoints: Sequence[Endpoint], *, now_s: float) -> None:
        """Take what was seen; an endpoint's picks are kept, by its address."""
        before = {known.address: known for known in self._known}
        samples = [endpoint.fresh_sample(now_s) for endpoint in endpoints]
        weight = self._tuning.running_weight
        busiest = max((sample_load(sample, weight) for sample in samples if sample is not None), default=1.0)
        self._known, self.requests = [], []
        for endpoint, sample in zip(endpoints, samples, strict=True):
            known = before.get(endpoint.address) or _Known(endpoint.address)
            known.scraped(sample, keep=self._tuning.samples_kept > 1)
            full = sample is None or sample.kv_cache_usage >= FULL_KV_CACHE
            self._known.append(known)
            self.requests.append(known.picks + (busiest if full or sample is None else sample_load(sample, weight)))
        self.total = sum(self.requests)
        self.blind = all(sample is None for sample in samples)

    def add(self, position: int, *, prompt_length: int) -> None:
        """Count a pick."""
        self._mean_length += _MEAN_STEP * (prompt_length - self._mean_length)
        length = min(_LONGEST, prompt_length / max(1.0, self._mean_length))
        load = 1 + self._tuning.length_share * (length - 1)
        self._known[position].newest += load
        self.requests[position] += load
        self.total += load


class _Known:
    """What is kept of an endpoint from one update to the next: picks since the last sample, and those before it."""

    __slots__ = ("address", "newest", "older", "scraped_at_s")

    def __init__(self, address: str) -> None:
        self.address = address
        self.newest = self.older = 0.0
        self.scraped_at_s: float | None = None

    @property
    def picks(self) -> float:
        return self.newest + self.older

    def scraped(self, sample: EngineSample | None, *, keep: bool) -> None:
        if sample is None:
            self.newest, self.older = 0.0, self.picks / 2
        elif sample.scraped_at_s != self.scraped_at_s:
            self.older, self.newest, self.scraped_at_s = self.newest if keep else 0.0, 0.0, sample.scraped_at_s
