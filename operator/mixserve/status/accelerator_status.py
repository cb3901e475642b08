"""The status of an `AcceleratorClass`: its nodes, and how many of their GPUs are free.

A node belongs to a class by its labels alone, as for the scheduler. Taints are not looked at: whether a pod tolerates
them is the pod's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.api.catalog_status import AcceleratorClassStatus
from mixserve.api.cluster_observation import Unseen, UnseenReason
from mixserve.api.names import AcceleratorCondition, Reason
from mixserve.plan.node_match import is_match
from mixserve.status.one_condition import to_condition
from mixserve.status.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.accelerator import AcceleratorClass, AcceleratorClassSpec
    from mixserve.api.cluster_observation import ClusterObservation, NodeObservation
    from mixserve.status.users import Users


_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Capacity:
    """What a cluster has of one kind of GPU; None where it is not known.

    Attributes:
        nodes: that match.
        ready_nodes: of them, those that take pods.
        gpus: allocatable on all of them.
        free_gpus: on those that take pods, what nobody holds.
    """

    nodes: int | None = None
    ready_nodes: int | None = None
    gpus: int | None = None
    free_gpus: int | None = None


def capacity_of(spec: AcceleratorClassSpec, cluster: ClusterObservation) -> Capacity:
    """Count nodes and GPUs of a class."""
    if isinstance(cluster.nodes, Unseen):
        return Capacity()
    nodes = [node for node in cluster.nodes if is_match(node.labels, spec.node_requirements)]
    free = None if isinstance(cluster.held, Unseen) else _free(spec.resource_name, nodes, cluster.held)
    return Capacity(
        nodes=len(nodes),
        ready_nodes=sum(node.takes_pods for node in nodes),
        gpus=sum(node.offers.get(spec.resource_name, 0) for node in nodes),
        free_gpus=free,
    )


def _free(resource: str, nodes: Sequence[NodeObservation], held: Mapping[str, Mapping[str, int]]) -> int:
    """What nobody holds on the nodes that take pods. Pods may hold more than a node offers when a GPU has failed."""
    return sum(
        max(0, node.offers.get(resource, 0) - held.get(node.name, _NOTHING).get(resource, 0))
        for node in nodes
        if node.takes_pods
    )


def build_accelerator_status(
    entry: AcceleratorClass,
    *,
    cluster: ClusterObservation,
    users: Users,
    previous: AcceleratorClassStatus | None,
    now_s: float,
) -> AcceleratorClassStatus:
    """What is to be said of a class.

    Args:
        entry: the class.
        cluster: the nodes, and what pods hold on them.
        users: the pools that name it.
        previous: the status as it was written last.
        now_s: seconds since the epoch.
    """
    capacity, generation = capacity_of(entry.spec, cluster), entry.metadata.generation
    verdict = _judge(entry.spec, cluster, capacity)
    before = () if previous is None else previous.conditions
    return AcceleratorClassStatus(
        observed_generation=generation,
        conditions=(to_condition(verdict, generation=generation, previous=before, now_s=now_s),),
        nodes=capacity.nodes,
        ready_nodes=capacity.ready_nodes,
        gpus=capacity.gpus,
        free_gpus=capacity.free_gpus,
        pools=users.count,
        used_by=users.listed,
    )


def _judge(spec: AcceleratorClassSpec, cluster: ClusterObservation, capacity: Capacity) -> Verdict:
    """The verdict, without numbers, which would change by themselves."""
    kind = AcceleratorCondition.NODES_FOUND
    if isinstance(cluster.nodes, Unseen):
        return Verdict(kind, "Unknown", *_unseen(cluster.nodes, "nodes"))
    if not capacity.nodes:
        labels = ",".join(dict.fromkeys(requirement.key for requirement in spec.node_requirements))
        return Verdict(
            kind,
            "False",
            Reason.NO_MATCHING_NODES,
            f"No node has the labels of spec.nodeRequirements; compare with kubectl get nodes -L {labels}",
        )
    if not capacity.gpus:
        return Verdict(
            kind,
            "False",
            Reason.NODES_WITHOUT_GPUS,
            f"Nodes match, but none of them offers {spec.resource_name}; see whether the GPU's device plugin runs on "
            "them, and whether spec.resourceName is what it offers",
        )
    return Verdict(kind, "True", Reason.NODES_FOUND, f"Nodes match and offer {spec.resource_name}{_claims(cluster)}")


def _claims(cluster: ClusterObservation) -> str:
    if not isinstance(cluster.claims, Unseen):
        return ""
    _, message = _unseen(cluster.claims, "pods of all namespaces")
    return f". How many are free is not known: {message[0].lower()}{message[1:]}"


def _unseen(unseen: Unseen, what: str) -> tuple[Reason, str]:
    if unseen.reason is not UnseenReason.FORBIDDEN:
        return Reason.NOT_CHECKED, f"The API server does not list {what}; it is asked again"
    remedy = "install the chart with operator.watchNodes=true, or without operator.watchNamespaces"
    return Reason.NOT_PERMITTED, f"The operator may not list {what}; {remedy}"
