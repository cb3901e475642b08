"""The Node and Lease objects of a node. Pure."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.status import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mixserve_devcluster.node.config import Gpu, NodeSpec

LEASE_NAMESPACE = "kube-node-lease"
# The kubelet's nodeLeaseDurationSeconds; it renews after a quarter of it.
LEASE_DURATION_S = 40
GPU_RESOURCE = "nvidia.com/gpu"

# The names that Kubernetes and GPU Feature Discovery have for things.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FAMILIES = {
    (7, 0): "volta",
    (7, 5): "turing",
    (8, 0): "ampere",
    (8, 6): "ampere",
    (8, 7): "ampere",
    (8, 9): "ada-lovelace",
    (9, 0): "hopper",
    (10, 0): "blackwell",
    (10, 3): "blackwell",
    (12, 0): "blackwell",
}


def architecture() -> str:
    """This machine's, as Kubernetes calls it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def node_labels(name: str, spec: NodeSpec) -> dict[str, str]:
    """The labels of a node: a kubelet's, those of GPU Feature Discovery, and the configured ones, which win."""
    labels: dict[str, str] = {}
    for prefix in ("", "beta."):
        labels |= {f"{prefix}kubernetes.io/os": "linux", f"{prefix}kubernetes.io/arch": architecture()}
    labels["kubernetes.io/hostname"] = name
    return labels | (_gpu_labels(spec.gpu) if spec.gpu else {}) | spec.labels


def _gpu_labels(gpu: Gpu) -> dict[str, str]:
    values = {
        "product": gpu.product,
        "memory": gpu.memory_mib,
        "count": gpu.count,
        "family": _FAMILIES.get((gpu.compute_major, gpu.compute_minor), "undefined"),
        "compute.major": gpu.compute_major,
        "compute.minor": gpu.compute_minor,
        "replicas": 1,  # no time slicing
    }
    return {"nvidia.com/gpu.present": "true", **{f"{GPU_RESOURCE}.{key}": str(value) for key, value in values.items()}}


def allocatable(spec: NodeSpec) -> dict[str, str]:
    """What pods may use of a node: all that it has."""
    resources = {"cpu": spec.cpu, "memory": spec.memory, "pods": str(spec.pods), "ephemeral-storage": "1Ti"}
    return resources | ({GPU_RESOURCE: str(spec.gpu.count)} if spec.gpu else {})


def node_manifest(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A Node as it is created."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels)}}


def node_status(spec: NodeSpec, name: str, *, version: str, log_port: int | None, now: datetime) -> dict[str, Any]:
    """A Node's status; `log_port` is where the API server asks for logs."""
    resources = allocatable(spec)
    status = {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": name},
        ],
        "conditions": [
            _condition("MemoryPressure", "False", "KubeletHasSufficientMemory", now),
            _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", now),
            _condition("PIDPressure", "False", "KubeletHasSufficientPID", now),
            _condition("Ready", "True", "KubeletReady", now),
        ],
        "nodeInfo": _node_info(name, version),
    }
    if log_port is not None:
        status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": log_port}}
    return status


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a Node is taken to be Ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _condition(kind: str, status: str, reason: str, now: datetime) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"the local node reports {kind} {status}",
        "lastHeartbeatTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
    }


def _node_info(name: str, version: str) -> dict[str, str]:
    return {
        "architecture": architecture(),
        "operatingSystem": "linux",
        "osImage": "local processes of the host",
        "kernelVersion": platform.release(),
        "containerRuntimeVersion": "local://1",
        "kubeletVersion": version,
        "kubeProxyVersion": "",
        "machineID": name,
        "systemUUID": name,
        "bootID": name,
    }


def lease_manifest(name: str, now: datetime) -> dict[str, Any]:
    """The Lease by which the node lifecycle controller sees that a node is alive."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
