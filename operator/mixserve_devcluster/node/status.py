"""The status of a pod from what its containers do, by the kubelet's rules. Pure.

The rules are those of `getPhase` and `status.Generate...Condition` in the kubelet's source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

# The conditions that a kubelet owns; all others of a pod belong to somebody else.
_INITIALIZED = "Initialized"
_CONTAINERS_READY = "ContainersReady"
_READY = "Ready"
_READY_TO_START = "PodReadyToStartContainers"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A container that has no process (yet)."""

    reason: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A container with a process."""

    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class Terminated:
    """A container whose process has ended; the times are None where they are not known."""

    exit_code: int
    reason: str
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = ""


State = Waiting | Running | Terminated


@dataclass(frozen=True, kw_only=True)
class ContainerFacts:
    """What a container does now.

    Attributes:
        last: how its previous process ended.
        started: its startup probe, if it has one, has succeeded; for an init container: it runs.
        ready: its readiness probe, if it has one, succeeds; for an init container: it is done.
        restarts: how many processes it had before this one.
    """

    name: str
    image: str
    state: State
    container_id: str = ""
    last: Terminated | None = None
    started: bool = False
    ready: bool = False
    restarts: int = 0


@dataclass(frozen=True, kw_only=True)
class PodSnapshot:
    """All that a pod's status is made of.

    Attributes:
        pod: the pod as the API has it.
        previous: the status that was last reported, for the times of its conditions.
        init: facts of the init containers, in the order of the spec.
        containers: facts of the containers, in the order of the spec.
        address: the pod's IP address; empty before it has one.
        is_terminal: the node does nothing more for the pod: its phase must be a final one.
        failure: why the node gave the pod up; empty if it did not.
        now: the time to give to conditions that change.
    """

    pod: Mapping[str, Any]
    previous: Mapping[str, Any]
    init: Sequence[ContainerFacts]
    containers: Sequence[ContainerFacts]
    address: str
    host_address: str
    started_at: datetime
    is_ready_to_start: bool
    is_terminal: bool
    now: datetime
    failure: str = ""


def timestamp(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Whether an init container keeps running beside the containers."""
    return container.get("restartPolicy") == "Always"


def pod_status(snapshot: PodSnapshot) -> dict[str, Any]:
    """The part of `status` that a kubelet writes, with its conditions."""
    spec, generation = snapshot.pod["spec"], snapshot.pod["metadata"].get("generation", 1)
    phase = _phase(snapshot)
    status = {
        "observedGeneration": generation,
        "phase": phase,
        "startTime": timestamp(snapshot.started_at),
        "hostIP": snapshot.host_address,
        "hostIPs": [{"ip": snapshot.host_address}],
        "conditions": [_dated(condition, snapshot, generation) for condition in _conditions(snapshot, phase)],
        "containerStatuses": [_container_status(facts, spec["containers"]) for facts in snapshot.containers],
    }
    if snapshot.address:
        status |= {"podIP": snapshot.address, "podIPs": [{"ip": snapshot.address}]}
    if snapshot.failure:
        status |= {"reason": "LocalNodeError", "message": snapshot.failure}
    if snapshot.init:
        status["initContainerStatuses"] = [_container_status(facts, spec["initContainers"]) for facts in snapshot.init]
    return status


def _container_status(facts: ContainerFacts, declared: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    image = next((each["image"] for each in declared if each["name"] == facts.name), facts.image)
    return {
        "name": facts.name,
        "image": image,
        "imageID": f"local://{image}" if facts.container_id else "",
        "containerID": facts.container_id,
        "ready": facts.ready,
        "started": facts.started,
        "restartCount": facts.restarts,
        "state": _state(facts.state),
        "lastState": _state(facts.last) if facts.last else {},
    }


def _state(state: State) -> dict[str, Any]:
    match state:
        case Waiting():
            return {"waiting": _filled(reason=state.reason, message=state.message)}
        case Running():
            return {"running": {"startedAt": timestamp(state.started_at)}}
        case Terminated():
            times = {"startedAt": state.started_at, "finishedAt": state.finished_at}
            return {
                "terminated": {
                    "exitCode": state.exit_code,
                    **{field: timestamp(time) for field, time in times.items() if time is not None},
                    **_filled(reason=state.reason, message=state.message, containerID=state.container_id),
                }
            }


def _filled(**texts: str) -> dict[str, str]:
    return {field: text for field, text in texts.items() if text}


def should_restart(policy: str, exit_code: int) -> bool:
    """Whether a restart policy wants a container that ended like this to be started again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _ended(facts: ContainerFacts) -> Terminated | None:
    """How a container ended that does not run: one that waits for its restart counts as ended."""
    if isinstance(facts.state, Terminated):
        return facts.state
    return facts.last if isinstance(facts.state, Waiting) else None


def _phase(snapshot: PodSnapshot) -> str:
    policy = snapshot.pod["spec"].get("restartPolicy", "Always")
    failed_init = [end for end in map(_ended, _ordinary_init(snapshot)) if end and end.exit_code != 0]
    if snapshot.failure or any(not should_restart(policy, end.exit_code) for end in failed_init):
        return "Failed"
    if snapshot.is_terminal:
        return _final_phase(snapshot)
    if _is_initializing(snapshot) or any(_is_unstarted(facts) for facts in snapshot.containers):
        return "Pending"
    ends = [_ended(facts) for facts in snapshot.containers]
    running = [*ends, *(_ended(facts) for facts in _sidecars(snapshot))]
    if None in running or any(end and should_restart(policy, end.exit_code) for end in ends):
        return "Running"
    return _final_phase(snapshot)


def _final_phase(snapshot: PodSnapshot) -> str:
    ends = [_ended(facts) for facts in snapshot.containers]
    return "Succeeded" if all(end and end.exit_code == 0 for end in ends) else "Failed"


def _is_unstarted(facts: ContainerFacts) -> bool:
    return isinstance(facts.state, Waiting) and facts.last is None


def _ordinary_init(snapshot: PodSnapshot) -> list[ContainerFacts]:
    return _init_where(snapshot, sidecars=False)


def _sidecars(snapshot: PodSnapshot) -> list[ContainerFacts]:
    return _init_where(snapshot, sidecars=True)


def _init_where(snapshot: PodSnapshot, *, sidecars: bool) -> list[ContainerFacts]:
    declared = snapshot.pod["spec"].get("initContainers", [])
    return [facts for facts, each in zip(snapshot.init, declared, strict=True) if is_sidecar(each) == sidecars]


def _has_run(snapshot: PodSnapshot) -> bool:
    return any(not _is_unstarted(facts) for facts in snapshot.containers)


def _uninitialized(snapshot: PodSnapshot) -> list[str]:
    """The init containers that the containers wait for."""
    if _has_run(snapshot):
        return []
    names = [facts.name for facts in _ordinary_init(snapshot) if not facts.ready]
    return names + [facts.name for facts in _sidecars(snapshot) if not facts.started]


def _is_initializing(snapshot: PodSnapshot) -> bool:
    return bool(_uninitialized(snapshot))


def _conditions(snapshot: PodSnapshot, phase: str) -> list[dict[str, Any]]:
    containers_ready = _containers_ready(snapshot, phase)
    gates = _closed_gates(snapshot.pod)
    ready = dict(containers_ready, type=_READY)
    if ready["status"] == "True" and gates:
        ready |= {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(gates)}
    return [
        _condition(_READY_TO_START, holds=snapshot.is_ready_to_start),
        _initialized(snapshot, phase),
        ready,
        containers_ready,
    ]


def _condition(kind: str, *, holds: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    # None removes what a merge patch would otherwise leave of an earlier condition.
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": reason or None,
        "message": message or None,
    }


def _initialized(snapshot: PodSnapshot, phase: str) -> dict[str, Any]:
    if phase == "Succeeded":
        return _condition(_INITIALIZED, holds=True, reason="PodCompleted")
    if names := _uninitialized(snapshot):
        message = f"containers with incomplete status: [{' '.join(names)}]"
        return _condition(_INITIALIZED, holds=False, reason="ContainersNotInitialized", message=message)
    return _condition(_INITIALIZED, holds=True)


def _containers_ready(snapshot: PodSnapshot, phase: str) -> dict[str, Any]:
    if phase in {"Succeeded", "Failed"}:
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
        return _condition(_CONTAINERS_READY, holds=False, reason=reason)
    unready = [facts.name for facts in (*_sidecars(snapshot), *snapshot.containers) if not facts.ready]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return _condition(_CONTAINERS_READY, holds=False, reason="ContainersNotReady", message=message)
    return _condition(_CONTAINERS_READY, holds=True)


def _closed_gates(pod: Mapping[str, Any]) -> list[str]:
    known = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
    closed = []
    for gate in pod["spec"].get("readinessGates", []):
        kind = gate["conditionType"]
        if kind not in known:
            closed.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif known[kind] != "True":
            closed.append(f'the status of pod readiness gate "{kind}" is not "True", but {known[kind]}')
    return closed


def _dated(condition: dict[str, Any], snapshot: PodSnapshot, generation: int) -> dict[str, Any]:
    before: Mapping[str, Any] = next(
        (each for each in snapshot.previous.get("conditions", []) if each["type"] == condition["type"]), {}
    )
    unchanged = before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if unchanged else None
    return {
        **condition,
        "lastProbeTime": None,
        "lastTransitionTime": since or timestamp(snapshot.now),
        "observedGeneration": generation,
    }
