"""What a pool's autoscaler remembers from one decision to the next. Lost at a restart, which only delays shrinking.

Two things. *What a replica carries*: b, the largest `running` of one pod while something waited there. "While" means
in two samples in a row: a burst that reaches an idle engine waits for one step whatever the engine carries. Until
something waited, b is the prior: what fits. A prior that changes (the batch limit was edited) forgets what was learned
under the old one. *Wishes*: the sizes that the load asked for, as a step function over the stabilisation window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mixserve.api.observation import EngineSample
from mixserve.autoscale.fleet import VariantFleet, fresh_sample

SMALLEST_CAPACITY = 1.0
"""A replica that runs carries at least one request."""


@dataclass(frozen=True)
class Wish:
    """The replicas per variant that the load asked for, from `time_s` (seconds since the epoch) on."""

    time_s: float
    replicas: Mapping[str, int]


@dataclass(frozen=True)
class Learned:
    """The largest `running` seen while something waited, and the prior that held then."""

    running: int
    prior: float


@dataclass(frozen=True)
class ScaleMemory:
    """Empty when the operator starts.

    Attributes:
        learned: by variant.
        waited_at_s: pods (by uid) whose newest sample has waiting requests, to when it was scraped.
        wishes: oldest first; the oldest is the one that held when the stabilisation window began.
    """

    learned: Mapping[str, Learned] = field(default_factory=dict)
    waited_at_s: Mapping[str, float] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()

    def capacity(self, variant: str, prior: float) -> float:
        """Requests that a replica of the variant carries, >= 1."""
        learned = self.learned.get(variant)
        known = prior if learned is None or learned.prior != prior else learned.running
        return max(SMALLEST_CAPACITY, known)

    def largest_wish(self, variant: str) -> int:
        """The largest size that is remembered for the variant, 0 if none is."""
        return max((wish.replicas.get(variant, 0) for wish in self.wishes), default=0)

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
            prior = priors[fleet.name]
            seen = [self._saturated(uid, sample) for uid, sample in _waiting_samples(fleet, now_s)]
            before = self.learned.get(fleet.name)
            if before is not None and before.prior == prior:
                seen.append(before.running)
            if max(seen, default=0) > 0:
                learned[fleet.name] = Learned(running=max(seen), prior=prior)
            waited.update((uid, sample.scraped_at_s) for uid, sample in _waiting_samples(fleet, now_s))
        return replace(self, learned=learned, waited_at_s=waited)

    def _saturated(self, uid: str, sample: EngineSample) -> int:
        before_s = self.waited_at_s.get(uid)
        return sample.running if before_s is not None and before_s < sample.scraped_at_s else 0


def _waiting_samples(fleet: VariantFleet, now_s: float) -> list[tuple[str, EngineSample]]:
    """Ready pods in whose queue something waits, by uid."""
    samples = ((pod.uid, fresh_sample(pod, now_s)) for pod in fleet.serving)
    return [(uid, sample) for uid, sample in samples if sample is not None and sample.waiting > 0]
