"""A Node, as the API server has it, becomes a `NodeObservation`, and a Pod a `PodClaim`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mixserve.api.cluster_observation import NodeObservation, PodClaim
from mixserve.observe.quantities import extended

if TYPE_CHECKING:
    from collections.abc import Mapping

PODS_ON_NODES = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
"""Field selector of the pods that hold something: they are on a node, and have not ended."""


def observe_node(node: Mapping[str, Any]) -> NodeObservation:
    """What is of interest of a node."""
    status = node.get("status", {})
    conditions = status.get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return NodeObservation(
        name=node["metadata"]["name"],
        labels=node["metadata"].get("labels") or {},
        takes_pods=ready and not node.get("spec", {}).get("unschedulable", False),
        offers=extended(status.get("allocatable") or {}),
    )


def observe_claim(pod: Mapping[str, Any]) -> PodClaim | None:
    """What a pod of `PODS_ON_NODES` holds; None for nothing of interest."""
    spec = pod["spec"]
    holds = _requested(spec)
    return PodClaim(spec["nodeName"], dict(holds)) if holds else None


def _requested(spec: Mapping[str, Any]) -> Counter[str]:
    """What the scheduler reserves (`resourcehelper.PodRequests`).

    That is the sum over the containers and the sidecars (init containers that are restarted), or what one init
    container and the sidecars before it need, if that is more.
    """
    sidecars, most = Counter[str](), Counter[str]()
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            sidecars += _of(container)
            most |= sidecars
        else:
            most |= sidecars + _of(container)
    for container in spec["containers"]:
        sidecars += _of(container)
    return most | sidecars


def _of(container: Mapping[str, Any]) -> Counter[str]:
    resources = container.get("resources") or {}
    # Of extended resources requests and limits are the same, and the API server fills in what is not written.
    return Counter(extended(resources.get("requests") or {}))
