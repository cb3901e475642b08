"""A variant's pods by the part that they play in scaling.

Terminating pods play none: they are neither supply nor victims, and their requests finish under their preStop hook.
"""

import math
from dataclasses import dataclass

from mixserve.api.observation import EngineSample, Missing, MissingReason, PodObservation, VariantObservation
from mixserve.api.pool import ReplicaRange

FRESH_S = 15.0
"""A sample is fresh up to this age: three scrapes of 5 s, so that one lost scrape changes nothing."""


@dataclass(frozen=True)
class VariantFleet:
    """A variant's replicas, sorted. Every pod that is not terminating is in one of the first four groups.

    Attributes:
        serving: ready.
        starting: not ready and nothing known that keeps them from it; a ready pod whose engine hangs comes back here.
        stuck: not ready, and the cluster says why (unschedulable, no image, crashing), or for longer than any start
            takes. They do not start by waiting.
        draining: the operator took their routable label away. Not supply.
        unlabelled: those of the first three groups that lost the label otherwise; they get it back.
        replicas: `spec.replicas` of the Deployment, None while there is none.
        leaving: pods beyond `replicas`, which the ReplicaSet is about to delete.
        remembered: the size to assume while there is no Deployment, because somebody deleted it.
    """

    name: str
    bounds: ReplicaRange
    rolling_out: bool
    serving: tuple[PodObservation, ...]
    starting: tuple[PodObservation, ...]
    stuck: tuple[PodObservation, ...]
    draining: tuple[PodObservation, ...]
    unlabelled: tuple[PodObservation, ...]
    replicas: int | None
    leaving: int
    remembered: int

    @property
    def held(self) -> int:
        """The current size within the bounds of the spec."""
        return min(max(self.current, self.bounds.min), self.bounds.max)

    @property
    def idle_slots(self) -> int:
        """Replicas that may go without a drain: stuck pods, and replicas for which no pod could be created."""
        pods = len(self.serving) + len(self.starting) + len(self.stuck) + len(self.draining)
        absent = max(0, (self.replicas or 0) - pods)
        return absent + max(0, len(self.stuck) - self.leaving)

    @property
    def leaving_drained(self) -> int:
        """Of the pods that are about to be deleted, the draining ones: Kubernetes takes those not ready first."""
        return min(len(self.draining), max(0, self.leaving - len(self.stuck)))

    @property
    def current(self) -> int:
        """Replicas that are supply or will be: starting and stuck ones counted, draining ones not."""
        if self.replicas is None:
            return self.remembered
        return self.replicas - (len(self.draining) - self.leaving_drained)


def sort_pods(
    observation: VariantObservation,
    *,
    bounds: ReplicaRange,
    drains: bool,
    remembered: int,
    late_s: float = -math.inf,
) -> VariantFleet:
    """Sort a variant's pods.

    Args:
        observation: the variant's Deployment and pods.
        bounds: the replicas that the spec allows.
        drains: whether the operator drains pods at all; if not, draining pods count as unlabelled.
        remembered: the size to assume while there is no Deployment.
        late_s: who has not been ready since before this time (seconds since the epoch) will not be by waiting.
    """
    live = [pod for pod in observation.pods if not pod.terminating]
    draining = [drains and not pod.routable and pod.draining_since_s is not None for pod in live]
    supply = [pod for pod, drained in zip(live, draining, strict=True) if not drained]
    unready = [pod for pod in supply if not pod.ready]
    stuck = [pod.trouble is not None or pod.turned_at_s < late_s for pod in unready]
    return VariantFleet(
        name=observation.name,
        bounds=bounds,
        rolling_out=observation.rolling_out,
        serving=tuple(pod for pod in supply if pod.ready),
        starting=tuple(pod for pod, never in zip(unready, stuck, strict=True) if not never),
        stuck=tuple(pod for pod, never in zip(unready, stuck, strict=True) if never),
        draining=tuple(pod for pod, drained in zip(live, draining, strict=True) if drained),
        unlabelled=tuple(pod for pod in supply if not pod.routable),
        replicas=observation.replicas,
        leaving=max(0, len(live) - (observation.replicas or 0)),
        remembered=remembered,
    )


def fresh_sample(pod: PodObservation, now_s: float) -> EngineSample | None:
    """The pod's signals if they are fresh; None is "not known", never "no load"."""
    if isinstance(pod.sample, EngineSample) and now_s - pod.sample.scraped_at_s <= FRESH_S:
        return pod.sample
    return None


def is_unread(pod: PodObservation) -> bool:
    """The pod has not told its signals yet: it became ready, or the operator started, seconds ago."""
    return isinstance(pod.sample, Missing) and pod.sample.reason is MissingReason.NOT_SCRAPED
