"""How much work which replicas carry, over variants of different capacity.

Work is counted in requests: a replica of variant v carries b_v of them at a time. The ladder says in which order
replicas are worth having: first every variant's minimum, then the replicas that are there, then the room up to each
maximum; each time in the order in which the spec lists the variants. Walking it up fills in the order listed, walking
it down shrinks in reverse, and a pool whose replicas stand elsewhere (because the spec was reordered) is judged by
what it has. With one variant all steps carry the same b, so the position is work / b.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from mixserve.autoscale.fleet import VariantFleet

WORTHWHILE = 0.1
"""A replica is worth having when more than this share of it would be used: ceil(x - 0.1) > N of the first version."""


@dataclass(frozen=True)
class Step:
    """Replicas of one variant, each of which carries `capacity` requests (> 0)."""

    variant: str
    replicas: int
    capacity: float


@dataclass(frozen=True)
class Ladder:
    """The steps: minimums first, then what is there, then room."""

    minimums: tuple[Step, ...]
    optional: tuple[Step, ...]

    @property
    def minimum(self) -> int:
        """Replicas that are there whatever the load."""
        return sum(step.replicas for step in self.minimums)

    @property
    def maximum(self) -> int:
        """Replicas that may be there at most."""
        return self.minimum + sum(step.replicas for step in self.optional)

    def position(self, work: float) -> float:
        """The replicas, with a fraction, that `work` requests fill; beyond the top, replicas of the last variant."""
        filled = 0.0
        for step in (*self.minimums, *self.optional):
            if work <= step.replicas * step.capacity:
                return filled + work / step.capacity
            work -= step.replicas * step.capacity
            filled += step.replicas
        return filled + work / self.minimums[-1].capacity

    def fill(self, work: float) -> dict[str, int]:
        """The whole replicas per variant that `work` requests are worth, within minimum and maximum."""
        replicas = {step.variant: step.replicas for step in self.minimums}
        rest = work - sum(step.replicas * step.capacity for step in self.minimums)
        for step in self.optional:
            taken = min(max(ceil(rest / step.capacity - WORTHWHILE), 0), step.replicas)
            replicas[step.variant] += taken
            if taken < step.replicas:
                break
            rest -= taken * step.capacity
        return replicas


def build_ladder(fleets: Sequence[VariantFleet], capacities: Mapping[str, float]) -> Ladder:
    """The ladder of a pool, from its fleets in the order of the spec and the requests that a replica carries."""

    def step(fleet: VariantFleet, replicas: int) -> Step:
        return Step(variant=fleet.name, replicas=replicas, capacity=capacities[fleet.name])

    held = [step(fleet, fleet.held - fleet.bounds.min) for fleet in fleets]
    room = [step(fleet, fleet.bounds.max - fleet.held) for fleet in fleets]
    return Ladder(
        minimums=tuple(step(fleet, fleet.bounds.min) for fleet in fleets),
        optional=(*held, *room),
    )
