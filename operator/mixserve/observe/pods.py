"""A Pod, as the API server has it, becomes a `PodObservation`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_DRAINING_SINCE, ENGINE_CONTAINER, LABEL_ROUTABLE
from mixserve.api.observation import EngineSample, Missing, PodObservation, PodProblem, Trouble
from mixserve.observe.timestamps import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WAITING_PROBLEMS = {
    "ErrImagePull": PodProblem.IMAGE_UNAVAILABLE,
    "ImagePullBackOff": PodProblem.IMAGE_UNAVAILABLE,
    "InvalidImageName": PodProblem.IMAGE_UNAVAILABLE,
    "ErrImageNeverPull": PodProblem.IMAGE_UNAVAILABLE,
    "ImageInspectError": PodProblem.IMAGE_UNAVAILABLE,
    "RegistryUnavailable": PodProblem.IMAGE_UNAVAILABLE,
    "CreateContainerConfigError": PodProblem.CONFIG_ERROR,
    "CreateContainerError": PodProblem.CONFIG_ERROR,
    "RunContainerError": PodProblem.CONFIG_ERROR,
    "CrashLoopBackOff": PodProblem.CRASHING,
}
"""Reasons of kubelet for a container that waits, as far as they are problems."""


def is_replica(pod: Mapping[str, Any]) -> bool:
    """Whether a ReplicaSet counts the pod.

    It does not count what has ended for good (evicted, or its node is gone), nor what is not its own: a pod that
    somebody has taken out of it to look into it, or one that was made by hand with our labels.
    """
    owners = pod["metadata"].get("ownerReferences", ())
    owned = any(owner["kind"] == "ReplicaSet" and owner.get("controller") for owner in owners)
    return owned and pod.get("status", {}).get("phase") not in {"Failed", "Succeeded"}


def takes_requests(pod: Mapping[str, Any]) -> bool:
    """Whether clients send their requests to the pod."""
    return is_ready(pod) and _is_routable(pod)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod is ready and is to stay."""
    ready = _condition(pod.get("status", {}), "Ready").get("status") == "True"
    return ready and "deletionTimestamp" not in pod["metadata"]


def observe_pod(
    pod: Mapping[str, Any],
    *,
    sample: EngineSample | Missing,
    log_tail: str,
) -> PodObservation:
    """What decisions need to know of a pod.

    Args:
        pod: the Pod as the API server sent it.
        sample: the newest signals of its engine, or why there are none.
        log_tail: the end of the log of its crashed container; empty if there is none.
    """
    metadata, status = pod["metadata"], pod.get("status", {})
    terminating = "deletionTimestamp" in metadata
    readiness = _condition(status, "Ready")
    ready = readiness.get("status") == "True" and not terminating
    return PodObservation(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at_s=parse_time(metadata["creationTimestamp"]),
        turned_at_s=parse_time(readiness.get("lastTransitionTime") or metadata["creationTimestamp"]),
        ready=ready,
        terminating=terminating,
        routable=_is_routable(pod),
        draining_since_s=_draining_since(metadata.get("annotations", {})),
        sample=sample,
        trouble=None if ready or terminating else find_trouble(status, log_tail),
    )


def find_trouble(status: Mapping[str, Any], log_tail: str) -> Trouble | None:
    """What keeps the pod from becoming ready, in the words of scheduler and kubelet."""
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Trouble(PodProblem.UNSCHEDULABLE, scheduled.get("message", ""))
    containers = container_statuses(status)
    return next(filter(None, (_container_trouble(c, status, log_tail) for c in containers)), None)


def container_statuses(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The statuses of all containers of a pod, those that run first first."""
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def crash_of(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How the container last ended, if it ended with an error and has not been ready since.

    An engine never ends well: with exit code 0 it was stopped because it was not ready in time.
    """
    if container.get("ready"):
        return None
    for state in (container.get("state", {}), container.get("lastState", {})):
        ended: Mapping[str, Any] | None = state.get("terminated")
        if ended is not None:
            fails = ended.get("exitCode", 0) != 0 or container.get("name") == ENGINE_CONTAINER
            return ended if fails else None
    return None


def _container_trouble(container: Mapping[str, Any], status: Mapping[str, Any], log_tail: str) -> Trouble | None:
    name = container.get("name", "")
    waiting = container.get("state", {}).get("waiting", {})
    problem = _WAITING_PROBLEMS.get(waiting.get("reason", ""))
    crash = crash_of(container)
    if problem in {PodProblem.IMAGE_UNAVAILABLE, PodProblem.CONFIG_ERROR}:
        return Trouble(problem, f"container {name}: {_words(waiting)}")
    if crash is not None:
        kind = PodProblem.ENDED if name == ENGINE_CONTAINER and _had_been_ready(crash, status) else PodProblem.CRASHING
        return Trouble(kind, f"container {name}: {_how_it_ended(crash)}", log_tail)
    if problem is PodProblem.CRASHING:
        return Trouble(problem, f"container {name}: {_words(waiting)}", log_tail)
    return None


def _had_been_ready(ended: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether the pod stopped being ready after the container that ended had started.

    The kubelet dates the condition anew only where its value changes, and before it starts a container again. So a pod
    that has not been ready since that start has an older date. Both dates are in whole seconds, and no engine loads in
    less.
    """
    started, turned = ended.get("startedAt"), _condition(status, "Ready").get("lastTransitionTime")
    if not started or not turned:
        return False
    return parse_time(turned) > parse_time(started)


def _words(waiting: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))


def _how_it_ended(ended: Mapping[str, Any]) -> str:
    signal, reason = ended.get("signal"), ended.get("reason", "Error")
    code = ended.get("exitCode", 0)
    return f"ended with exit code {code}" + (f", signal {signal}" if signal else "") + f" ({reason})"


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions: Iterable[Mapping[str, Any]] = status.get("conditions", ())
    return next((c for c in conditions if c.get("type") == kind), {})


def _is_routable(pod: Mapping[str, Any]) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(LABEL_ROUTABLE) == "true")


def _draining_since(annotations: Mapping[str, str]) -> float | None:
    value = annotations.get(ANNOTATION_DRAINING_SINCE)
    if value is None:
        return None
    try:
        since_s = float(value)
    except ValueError:
        since_s = math.nan
    # Somebody else's hand: as good as drained for ever, so that the pod gets out of this state.
    return since_s if math.isfinite(since_s) else 0.0
