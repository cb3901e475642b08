"""How a cluster of this user is doing."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mixserve_devcluster import records
from mixserve_devcluster.api_connection import ApiConnection
from mixserve_devcluster.errors import ApiError, ClusterError

if TYPE_CHECKING:
    from mixserve_devcluster.records import ClusterPaths, Record


# Whoever asks how clusters are waits for each that does not answer; one that is well answers in milliseconds.
_ANSWER_S = 3.0


class State(StrEnum):
    """Of the process that runs a cluster, and of the API server."""

    STARTING = "Starting"
    RUNNING = "Running"
    NOT_ANSWERING = "NotAnswering"
    CRASHED = "Crashed"


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """A node, and how many GPUs its pods may use."""

    name: str
    ready: bool
    gpus: int


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """What `mixserve dev status` shows; only a running cluster has nodes and pods.

    Attributes:
        uptime_s: seconds since it was started; None when it has crashed.
        pods: how many there are of each phase.
    """

    name: str
    state: State
    pid: int
    directory: str
    uptime_s: float | None = None
    server: str | None = None
    kubeconfig: str | None = None
    nodes: list[NodeStatus] = field(default_factory=list)
    pods: dict[str, int] = field(default_factory=dict)


def read_all() -> list[ClusterStatus]:
    """Look at all clusters of this user."""
    found = []
    for name in records.names():
        # One that was taken down since its name was read is none.
        with contextlib.suppress(ClusterError):
            found.append(read(name))
    return found


def read(name: str) -> ClusterStatus:
    """Look at one cluster.

    Raises:
        ClusterError: there is no such cluster.
    """
    paths, record = records.find(name)
    state = _state(record)
    if state is State.RUNNING:
        return _running(paths, record)
    uptime_s = time.time() - record.started_s if state is State.STARTING else None
    return ClusterStatus(name=name, state=state, pid=record.pid, directory=str(paths.directory), uptime_s=uptime_s)


def _state(record: Record) -> State:
    if not record.alive:
        return State.CRASHED
    return State.RUNNING if record.ready else State.STARTING


def _running(paths: ClusterPaths, record: Record) -> ClusterStatus:
    api = ApiConnection.from_kubeconfig(paths.kubeconfig, timeout_s=_ANSWER_S)
    status = ClusterStatus(
        name=paths.name,
        state=State.NOT_ANSWERING,
        pid=record.pid,
        directory=str(paths.directory),
        uptime_s=time.time() - record.started_s,
        server=api.server,
        kubeconfig=str(paths.kubeconfig),
    )
    try:
        nodes, pods = api.get("/api/v1/nodes")["items"], api.get("/api/v1/pods")["items"]
    except ApiError:
        return status
    phases = Counter(pod["status"].get("phase", "Unknown") for pod in pods)
    return replace(status, state=State.RUNNING, nodes=[_node(node) for node in nodes], pods=dict(phases))


def _node(node: dict[str, Any]) -> NodeStatus:
    conditions = node["status"].get("conditions", [])
    return NodeStatus(
        name=node["metadata"]["name"],
        ready=any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions),
        gpus=int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0)),
    )
