"""The load of a pool's endpoints between two scrapes.

Load is in requests: waiting and running at the last scrape, and our own picks since. The picks of another replica of
the gateway are not known; a bound that is relative to the mean allows for that.

An endpoint without fresh metrics is never idle: it counts as the busiest of those that have some, and our picks on top.
Nothing says when its requests end, so half of those picks are forgotten at each update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.route.picking.endpoint import Endpoint


class Loads:
    """Loads of the endpoints by their position, and their sum.

    Attributes:
        requests: load of each endpoint, >= 0.
        total: their sum.
        blind: no endpoint has fresh metrics.
    """

    def __init__(self) -> None:
        self.requests: list[float] = []
        self.total = 0.0
        self.blind = True
        self._addresses: tuple[str, ...] = ()
        self._picks: list[int] = []
        self._sampled_at_s: dict[str, float] = {}

    def update(self, endpoints: Sequence[Endpoint], *, now_s: float) -> None:
        """Take what was seen; picks that a newer sample contains are counted no longer."""
        samples = [endpoint.fresh_sample(now_s) for endpoint in endpoints]
        known = {
            endpoint.address: sample for endpoint, sample in zip(endpoints, samples, strict=True) if sample is not None
        }
        before = dict(zip(self._addresses, self._picks, strict=True))
        busiest = max((sample.waiting + sample.running for sample in known.values()), default=1)
        self._addresses = tuple(endpoint.address for endpoint in endpoints)
        self._picks, self.requests = [], []
        for address in self._addresses:
            sample, picks = known.get(address), before.get(address, 0)
            if sample is None:
                picks //= 2
            elif self._sampled_at_s.get(address) != sample.scraped_at_s:
                picks = 0
            self._picks.append(picks)
            self.requests.append(picks + (busiest if sample is None else sample.waiting + sample.running))
        self._sampled_at_s = {address: sample.scraped_at_s for address, sample in known.items()}
        self.total, self.blind = float(sum(self.requests)), not known

    def add(self, position: int) -> None:
        """Count a pick."""
        self.requests[position] += 1
        self._picks[position] += 1
        self.total += 1
