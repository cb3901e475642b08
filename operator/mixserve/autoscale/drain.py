"""From the sizes that are wanted to actions, level-triggered: everything is read from the pods' labels each time.

A replica goes in two steps. A *victim* loses its routable label and finishes its requests. Once it is idle, or the
drain timeout is over, the Deployment's size goes down by it. If the pool has to grow before that, the victim gets its
label back, which is cheaper than a cold start. Replicas that serve nobody (stuck pods, pods that could not be
created) go without the first step.

Kubernetes deletes not-ready pods and pods of old templates first, whatever we prefer, so no size is lowered while a
pod of the variant starts or its template rolls out. The preStop hook guards whichever pod really goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from mixserve.api.observation import PodObservation
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.autoscale.fleet import VariantFleet, fresh_sample

PROPAGATION_S = 5.0
"""An idle sample counts only this long after the label went: clients learn of it a little later, through
EndpointSlices."""

LARGEST_STEP = 5
"""At most one in this many replicas drains at a time, so that a wrong wish does little before it is noticed."""


@dataclass(frozen=True)
class DrainRules:
    """What holds for all variants.

    Attributes:
        now_s: seconds since the epoch.
        drain_timeout_s: after this long a draining pod goes, idle or not.
        may_finish: there is enough data to let drained pods go.
    """

    now_s: float
    drain_timeout_s: float
    may_finish: bool


def steer(
    fleets: Sequence[VariantFleet],
    *,
    wanted: Mapping[str, int],
    reason: str,
    rules: DrainRules,
) -> tuple[Action, ...]:
    """The actions that bring the fleets nearer to the wanted sizes; none once they are there.

    Args:
        fleets: the variants, in the order of the spec.
        wanted: replicas per variant, within the bounds of the spec.
        reason: the sentence that the size changes carry.
        rules: what holds for all variants.
    """
    victims = _choose_victims(fleets, wanted=wanted, now_s=rules.now_s)
    return tuple(
        action
        for fleet in fleets
        for action in _steer_variant(
            fleet,
            wanted=wanted[fleet.name],
            victims=victims.get(fleet.name, ()),
            reason=reason,
            rules=rules,
        )
    )


def restore_labels(fleets: Sequence[VariantFleet]) -> tuple[Action, ...]:
    """Give the label back to pods that lost it without a drain: edited by hand, or drained before the mode changed."""
    return tuple(
        Restore(variant=fleet.name, pods=tuple(pod.name for pod in fleet.unlabelled))
        for fleet in fleets
        if fleet.unlabelled
    )


def may_shrink(fleet: VariantFleet) -> bool:
    """Whether Kubernetes would delete the pods that we mean."""
    return not fleet.rolling_out and not fleet.starting


def remaining_requests(fleet: VariantFleet, now_s: float) -> int:
    """Requests that draining pods still have, as far as known."""
    return sum(_requests(pod, now_s) or 0 for pod in fleet.draining)


def _steer_variant(
    fleet: VariantFleet,
    *,
    wanted: int,
    victims: tuple[str, ...],
    reason: str,
    rules: DrainRules,
) -> list[Action]:
    if fleet.replicas is None:
        return []
    missing = max(0, wanted - fleet.current)
    restored = _restored(fleet, missing)
    size = fleet.replicas + missing - len(restored)
    if not missing and may_shrink(fleet):
        undrained = min(fleet.idle_slots, fleet.current - wanted)
        finished = _finished(fleet, rules)
        size -= undrained + finished
        reason = reason if undrained else f"{finished} drained replicas of {fleet.name} are idle or out of time"
    actions: list[Action] = []
    if restored:
        actions.append(Restore(variant=fleet.name, pods=restored))
    if victims:
        actions.append(Drain(variant=fleet.name, pods=victims))
    if size != fleet.replicas:
        actions.append(SetReplicas(variant=fleet.name, seen=fleet.replicas, replicas=size, reason=reason))
    return actions


def _restored(fleet: VariantFleet, missing: int) -> tuple[str, ...]:
    """Draining pods that are needed again: ready ones first, then those that drain for the shortest time."""
    if fleet.leaving_drained:
        return ()  # which of them the ReplicaSet is about to delete can't be told
    pods = sorted(fleet.draining, key=lambda pod: (not pod.ready, -(pod.draining_since_s or 0.0), pod.name))
    return tuple(pod.name for pod in pods[:missing])


def _finished(fleet: VariantFleet, rules: DrainRules) -> int:
    """Draining pods that may go now and that the Deployment still has."""
    over_maximum = (fleet.replicas or 0) > fleet.bounds.max
    if not rules.may_finish and not over_maximum:
        return 0
    return max(0, sum(_is_finished(pod, rules) for pod in fleet.draining) - fleet.leaving_drained)


def _is_finished(pod: PodObservation, rules: DrainRules) -> bool:
    since_s = pod.draining_since_s or 0.0
    if rules.now_s - since_s >= rules.drain_timeout_s or (not pod.ready and pod.trouble is not None):
        return True
    sample = fresh_sample(pod, rules.now_s)
    return (
        sample is not None and sample.scraped_at_s >= since_s + PROPAGATION_S and sample.running + sample.waiting == 0
    )


def _choose_victims(
    fleets: Sequence[VariantFleet],
    *,
    wanted: Mapping[str, int],
    now_s: float,
) -> dict[str, tuple[str, ...]]:
    """Pods that begin to drain, by variant; the last variant gives first.

    A ready pod goes only where as many ready ones remain as the pool wants, except down to a variant's maximum: that
    is what the user asked for.
    """
    draining = sum(len(fleet.draining) for fleet in fleets)
    pace = max(1, ceil((sum(fleet.current for fleet in fleets) + draining) / LARGEST_STEP)) - draining
    spare = sum(len(fleet.serving) for fleet in fleets) - sum(wanted.values())
    victims: dict[str, tuple[str, ...]] = {}
    for fleet in reversed(fleets):
        surplus = fleet.current - wanted[fleet.name] - fleet.idle_slots
        over_maximum = fleet.current - fleet.bounds.max
        count = max(0, min(surplus, pace, max(spare, over_maximum)))
        if count and may_shrink(fleet) and fleet.replicas is not None:
            victims[fleet.name] = _least_loaded(fleet, count=count, now_s=now_s)
            pace -= count
            spare -= count
    return victims


def _least_loaded(fleet: VariantFleet, *, count: int, now_s: float) -> tuple[str, ...]:
    """The ready pods with the fewest requests; an unknown load is the largest, the youngest goes first."""

    def order(pod: PodObservation) -> tuple[bool, int, float, str]:
        requests = _requests(pod, now_s)
        return (requests is None, requests or 0, -pod.created_at_s, pod.name)

    return tuple(pod.name for pod in sorted(fleet.serving, key=order)[:count])


def _requests(pod: PodObservation, now_s: float) -> int | None:
    sample = fresh_sample(pod, now_s)
    return None if sample is None else sample.running + sample.waiting
