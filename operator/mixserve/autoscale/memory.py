"""What a pool's autoscaler remembers from one decision to the next.

Two things. *What a replica carries*: b, the largest `running` of one pod while something waited there. "While" means
in two samples in a row: a burst that reaches an idle engine waits for one step whatever the engine carries. Until
something waited, b is the prior: what fits. A prior that changes (the batch limit was edited) forgets what was learned
under the old one. A b below the prior may be wrong: one long prompt can hold up a queue and teach a b far too small,
after which nothing waits any more that could teach better. So b grows back to the prior: at once to what a replica runs
without a queue, and else by doubling in each four hours in which nobody has seen it.

*Wishes*: the sizes that the load asked for, as a step function over the stabilisation window.

A restart forgets the wishes, which only delays shrinking; what was learned and wanted is recalled from the status.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mixserve.api.observation import EngineSample
from mixserve.api.pool_status import PoolStatus
from mixserve.autoscale.fleet import VariantFleet, fresh_sample

SMALLEST_CAPACITY = 1.0
"""A replica that runs carries at least one request."""

DOUBLING_S = 4 * 3600.0
"""So that a b that is too small by a factor of ten is forgotten overnight, and one that is right is put to the test by
one replica of ten in half an hour. A test that fails costs a few waiting requests, mostly within the target."""

_MOST_DOUBLINGS = 32
"""More than any prior needs."""


@dataclass(frozen=True)
class Wish:
    """The replicas per variant that the load asked for, from `time_s` (seconds since the epoch) on."""

    time_s: float
    replicas: Mapping[str, int]


@dataclass(frozen=True)
class Learned:
    """What a replica was seen to carry.

    Attributes:
        running: the largest `running` seen while something waited, or without that up to what was expected.
        prior: what was expected then, rounded as `expected` does.
        seen_at_s: when it was last seen, seconds since the epoch.
    """

    running: int
    prior: float
    seen_at_s: float

    def carries(self, now_s: float) -> float:
        """Requests that a replica carries by now, at least `running`; below it once nobody has seen it for long."""
        doublings = min(max(0.0, now_s - self.seen_at_s) / DOUBLING_S, _MOST_DOUBLINGS)
        return max(self.running, min(self.prior, self.running * math.exp2(doublings)))


@dataclass(frozen=True)
class ScaleMemory:
    """Empty when the operator starts.

    Attributes:
        learned: by variant.
        waited_at_s: pods (by uid) whose newest sample has waiting requests, to when it was scraped.
        wishes: oldest first; the oldest is the one that held when the stabilisation window began.
        recalled: by variant, the size that was wanted before the operator was restarted.
    """

    learned: Mapping[str, Learned] = field(default_factory=dict)
    waited_at_s: Mapping[str, float] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()
    recalled: Mapping[str, int] = field(default_factory=dict)

    def capacity(self, variant: str, prior: float, *, now_s: float) -> float:
        """Requests that a replica of the variant carries, >= 1."""
        learned = self._learned_under(variant, prior)
        return max(SMALLEST_CAPACITY, prior if learned is None else learned.carries(now_s))

    def largest_wish(self, variant: str) -> int:
        """The largest size that is remembered for the variant, 0 if none is."""
        return max((wish.replicas.get(variant, 0) for wish in self.wishes), default=self.recalled.get(variant, 0))

    def covers(self, since_s: float) -> bool:
        """Whether the wishes reach back to that time."""
        return bool(self.wishes) and self.wishes[0].time_s <= since_s

    def with_wish(self, wish: Wish, *, window_s: float) -> "ScaleMemory":
        """Remember a wish and forget those that ended before the window."""
        wishes = self.wishes
        if not wishes or wishes[-1].replicas != wish.replicas:
            wishes = (*wishes, wish)
        held = sum(old.time_s <= wish.time_s - window_s for old in wishes)
        return replace(self, wishes=wishes[max(0, held - 1) :])

    def with_samples(
        self,
        fleets: Sequence[VariantFleet],
        *,
        priors: Mapping[str, float],
        now_s: float,
    ) -> "ScaleMemory":
        """Learn what replicas carry from the newest samples."""
        learned: dict[str, Learned] = {}
        waited: dict[str, float] = {}
        for fleet in fleets:
            samples = _fresh_samples(fleet, now_s)
            known = self._learn(fleet.name, samples, prior=priors[fleet.name], now_s=now_s)
            if known is not None:
                learned[fleet.name] = known
            waited.update((uid, sample.scraped_at_s) for uid, sample in samples.items() if sample.waiting > 0)
        return replace(self, learned=learned, waited_at_s=waited)

    def _learn(
        self,
        variant: str,
        samples: Mapping[str, EngineSample],
        *,
        prior: float,
        now_s: float,
    ) -> Learned | None:
        before = self._learned_under(variant, prior)
        saturated = max((self._saturated(uid, sample) for uid, sample in samples.items()), default=0)
        if saturated > 0:
            most = max(saturated, 0 if before is None else before.running)
            return Learned(running=most, prior=expected(prior), seen_at_s=now_s)
        busiest = max((sample.running for sample in samples.values()), default=0)
        if before is not None and before.carries(now_s) < busiest <= prior:
            return replace(before, running=busiest, seen_at_s=now_s)
        return before

    def _learned_under(self, variant: str, prior: float) -> Learned | None:
        """What was learned while this prior held."""
        learned = self.learned.get(variant)
        return learned if learned is not None and learned.prior == expected(prior) else None

    def _saturated(self, uid: str, sample: EngineSample) -> int:
        """The requests of a pod in which some waited in the sample before as well; 0 for any other."""
        before_s = self.waited_at_s.get(uid)
        again = sample.waiting > 0 and before_s is not None and before_s < sample.scraped_at_s
        return sample.running if again else 0


def expected(prior: float) -> float:
    """A prior as the status has it, with two decimals."""
    return round(prior, 2)


def recall(status: PoolStatus | None, *, now_s: float) -> ScaleMemory:
    """What a pool's status remembers for an operator that has just started."""
    rows = () if status is None else status.variants
    return ScaleMemory(
        learned={
            row.name: Learned(running=row.learned.requests, prior=float(row.learned.expected), seen_at_s=now_s)
            for row in rows
            if row.learned is not None
        },
        recalled={row.name: row.desired for row in rows},
    )


def _fresh_samples(fleet: VariantFleet, now_s: float) -> dict[str, EngineSample]:
    """What the ready pods say, by uid."""
    samples = ((pod.uid, fresh_sample(pod, now_s)) for pod in fleet.serving)
    return {uid: sample for uid, sample in samples if sample is not None}
