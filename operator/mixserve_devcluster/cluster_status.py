"""How a cluster of this user is doing."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mixserve_devcluster import records
from mixserve_devcluster.api_connection import ApiConnection

if TYPE_CHECKING:
    from mixserve_devcluster.records import ClusterPaths, Record


class State(StrEnum):
    """Of the process that runs a cluster."""

    STARTING = "Starting"
    RUNNING = "Running"
    CRASHED = "Crashed"


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """A node, and how many GPUs its pods may use."""

    name: str
    ready: bool
    gpus: int


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """What `mixserve dev status` shows; only a running cluster has a server, nodes and pods.

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


def read(name: str) -> ClusterStatus:
    """Look at one cluster.

    Raises:
        ClusterError: there is no such cluster.
        ApiError: it runs, but its API server does not answer.
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
    api = ApiConnection.from_kubeconfig(paths.kubeconfig)
    return ClusterStatus(
        name=paths.name,
        state=State.RUNNING,
        pid=record.pid,
        directory=str(paths.directory),
        uptime_s=time.time() - record.started_s,
        server=api.server,
        kubeconfig=str(paths.kubeconfig),
        nodes=[_node(node) for node in api.get("/api/v1/nodes")["items"]],
        pods=dict(Counter(pod["status"].get("phase", "Unknown") for pod in api.get("/api/v1/pods")["items"])),
    )


def _node(node: dict[str, Any]) -> NodeStatus:
    conditions = node["status"].get("conditions", [])
    return NodeStatus(
        name=node["metadata"]["name"],
        ready=any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions),
        gpus=int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0)),
    )
