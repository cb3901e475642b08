"""What a container is in its pod, and with what it begins. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.status import ContainerFacts, Terminated, Waiting, is_sidecar, should_restart

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a kubelet reports for a process that it does not find again, such as when it was started anew meanwhile.
LOST = Terminated(
    exit_code=137,
    reason="ContainerStatusUnknown",
    message="The local node does not know how the container has ended",
)


class Role(Enum):
    """An ordinary container, an init container, or an init container that keeps running."""

    MAIN = auto()
    INIT = auto()
    SIDECAR = auto()

    @property
    def field(self) -> str:
        """The field of the pod's spec that declares containers of this role."""
        return "containers" if self is Role.MAIN else "initContainers"

    def restart_policy(self, spec: Mapping[str, Any]) -> str:
        """When a container of this role is started again in a pod with this spec."""
        policy = str(spec.get("restartPolicy", "Always"))
        if self is Role.INIT:
            return "Never" if policy == "Never" else "OnFailure"
        return "Always" if self is Role.SIDECAR else policy


def roles(spec: Mapping[str, Any]) -> list[tuple[Role, Mapping[str, Any]]]:
    """The containers of a pod in the order of their start, each with its role."""
    init = [(Role.SIDECAR if is_sidecar(each) else Role.INIT, each) for each in spec.get("initContainers", [])]
    return [*init, *((Role.MAIN, each) for each in spec["containers"])]


def first_facts(role: Role, container: Mapping[str, Any], pod: Mapping[str, Any]) -> ContainerFacts:
    """What is known of a container when the node first sees its pod.

    The status may tell of an earlier life of the node, whose processes are gone by now. An init container starts over.
    """
    spec, status = pod["spec"], pod.get("status", {})
    reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
    fresh = ContainerFacts(name=container["name"], image=container["image"], state=Waiting(reason=reason))
    reported = status.get("containerStatuses" if role is Role.MAIN else "initContainerStatuses") or []
    before = next((each for each in reported if each["name"] == container["name"]), None)
    end = before and _last_end(before)
    if before is None or end is None:
        return fresh
    facts = ContainerFacts(
        name=fresh.name,
        image=fresh.image,
        state=fresh.state,
        last=end,
        restarts=before["restartCount"],
    )
    if role is Role.MAIN and not should_restart(role.restart_policy(spec), end.exit_code):
        return ContainerFacts(name=facts.name, image=facts.image, state=end, restarts=facts.restarts)
    return facts


def _last_end(status: Mapping[str, Any]) -> Terminated | None:
    state = status.get("state", {})
    if "running" in state:
        return LOST
    if ended := state.get("terminated") or status.get("lastState", {}).get("terminated"):
        return _parse(ended)
    return None


def _parse(ended: Mapping[str, Any]) -> Terminated:
    return Terminated(
        exit_code=ended["exitCode"],
        reason=ended.get("reason", ""),
        message=ended.get("message", ""),
        started_at=_time(ended.get("startedAt")),
        finished_at=_time(ended.get("finishedAt")),
        container_id=ended.get("containerID", ""),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
