"""What was seen of the cluster's nodes: the frozen input of what is said about kinds of GPUs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class UnseenReason(StrEnum):
    """Why something is not known."""

    NOT_LISTED = "NotListed"
    """It has not been read yet."""
    FORBIDDEN = "Forbidden"
    """The operator may not read it."""
    UNAVAILABLE = "Unavailable"
    """The API server has not answered."""


@dataclass(frozen=True)
class Unseen:
    """There is no data, and why, in the API server's words."""

    reason: UnseenReason
    detail: str = ""


@dataclass(frozen=True)
class NodeObservation:
    """One node.

    Attributes:
        labels: all of them.
        takes_pods: it is Ready and not cordoned.
        offers: allocatable amount, >= 0, of each extended resource, such as nvidia.com/gpu.
    """

    name: str
    labels: Mapping[str, str]
    takes_pods: bool
    offers: Mapping[str, int]


@dataclass(frozen=True)
class PodClaim:
    """What a pod that is on a node, and has not ended, holds there.

    Attributes:
        node: its name.
        holds: requested amount, > 0, of each extended resource; not empty.
    """

    node: str
    holds: Mapping[str, int]


@dataclass(frozen=True)
class ClusterObservation:
    """Nodes of the cluster, and what pods of all namespaces hold on them."""

    nodes: tuple[NodeObservation, ...] | Unseen
    claims: tuple[PodClaim, ...] | Unseen

    @cached_property
    def held(self) -> Mapping[str, Mapping[str, int]] | Unseen:
        """By node, what pods hold of each resource; added up once, since every kind of GPU asks for it."""
        if isinstance(self.claims, Unseen):
            return self.claims
        found: dict[str, dict[str, int]] = {}
        for claim in self.claims:
            on_node = found.setdefault(claim.node, {})
            for resource, amount in claim.holds.items():
                on_node[resource] = on_node.get(resource, 0) + amount
        return found
