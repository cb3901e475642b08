from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mixserve.api.cluster_observation import ClusterObservation, NodeObservation, PodClaim, Unseen, UnseenReason
from mixserve.catalog.built_in import built_in_catalog
from mixserve.status.accelerator_status import build_accelerator_status, capacity_of
from mixserve.status.rfc3339 import to_rfc3339
from mixserve.status.users import Users
from support.pools import NOW_S

if TYPE_CHECKING:
    from mixserve.api.catalog_status import AcceleratorClassStatus

H100 = built_in_catalog().accelerators["h100-80gb"]
GPU = "nvidia.com/gpu"
FORBIDDEN, UNAVAILABLE = Unseen(UnseenReason.FORBIDDEN, "403"), Unseen(UnseenReason.UNAVAILABLE, "500")
LABELS = {"nvidia.com/gpu.compute.major": "9", "nvidia.com/gpu.compute.minor": "0", "nvidia.com/gpu.memory": "81559"}


def node(name: str, *, gpus: int = 8, takes_pods: bool = True, major: str = "9") -> NodeObservation:
    labels = {**LABELS, "nvidia.com/gpu.compute.major": major}
    return NodeObservation(name, labels, takes_pods=takes_pods, offers={GPU: gpus} if gpus else {})


def claim(node: str, gpus: int, resource: str = GPU) -> PodClaim:
    return PodClaim(node, {resource: gpus})


def cluster(*nodes: NodeObservation, claims: tuple[PodClaim, ...] | Unseen = ()) -> ClusterObservation:
    return ClusterObservation(nodes, claims)


def numbers(seen: ClusterObservation) -> tuple[int | None, ...]:
    found = capacity_of(H100.spec, seen)
    return (found.nodes, found.ready_nodes, found.gpus, found.free_gpus)


def test_only_matching_nodes_count() -> None:
    assert numbers(cluster(node("a"), node("b"), node("l4", major="8"))) == (2, 2, 16, 16)


def test_what_pods_hold_is_not_free() -> None:
    seen = cluster(node("a"), node("b"), claims=(claim("a", 3), claim("a", 2), claim("b", 8), claim("elsewhere", 1)))
    assert numbers(seen) == (2, 2, 16, 3)


def test_other_resources_are_not_gpus() -> None:
    assert numbers(cluster(node("a"), claims=(claim("a", 3, "rdma/hca"),))) == (1, 1, 8, 8)


def test_nodes_that_take_no_pods_have_nothing_free() -> None:
    seen = cluster(node("a", takes_pods=False), node("b"), claims=(claim("a", 2), claim("b", 2)))
    assert numbers(seen) == (2, 1, 16, 6)


def test_a_node_that_has_lost_gpus_takes_nothing_from_others() -> None:
    assert numbers(cluster(node("a", gpus=4), node("b"), claims=(claim("a", 8),))) == (2, 2, 12, 8)


def test_unknown_is_not_zero() -> None:
    assert numbers(ClusterObservation(FORBIDDEN, ())) == (None, None, None, None)
    assert numbers(cluster(node("a"), claims=FORBIDDEN)) == (1, 1, 8, None)


def build(
    seen: ClusterObservation, previous: AcceleratorClassStatus | None = None, *, now_s: float = NOW_S
) -> AcceleratorClassStatus:
    entry = H100.model_copy(update={"metadata": H100.metadata.model_copy(update={"generation": 3})})
    users = Users(("ns/p",))
    return build_accelerator_status(entry, cluster=seen, users=users, previous=previous, now_s=now_s)


@pytest.mark.parametrize(
    ("seen", "status", "reason", "says"),
    [
        (cluster(node("a")), "True", "NodesFound", "offer nvidia.com/gpu"),
        (cluster(node("a", major="8")), "False", "NoMatchingNodes", "kubectl get nodes -L nvidia.com/gpu."),
        (cluster(node("a", gpus=0)), "False", "NodesWithoutGPUs", "device plugin"),
        (ClusterObservation(FORBIDDEN, FORBIDDEN), "Unknown", "NotPermitted", "operator.watchNodes=true"),
        (ClusterObservation(UNAVAILABLE, ()), "Unknown", "NotChecked", "does not list nodes"),
        (
            cluster(node("a"), claims=FORBIDDEN),
            "True",
            "NodesFound",
            "free is not known: the operator may not list pods",
        ),
        (cluster(node("a"), claims=UNAVAILABLE), "True", "NodesFound", "the API server does not list pods"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_condition_says_what_there_is_or_why_not(
    seen: ClusterObservation, status: str, reason: str, says: str
) -> None:
    [condition] = build(seen).conditions
    assert (condition.type, condition.status, condition.reason) == ("NodesFound", status, reason)
    assert says in condition.message
    assert condition.observed_generation == 3


def test_messages_have_no_number_that_changes_by_itself() -> None:
    one, many = build(cluster(node("a"))), build(cluster(node("a"), node("b"), claims=(claim("a", 1),)))
    assert one.conditions == many.conditions
    assert not re.search(r"\b[0-9]+ ", one.conditions[0].message)


def test_a_condition_that_stays_keeps_its_time() -> None:
    first = build(cluster(node("a")))
    again = build(cluster(node("a"), node("b")), first, now_s=NOW_S + 60)
    gone = build(cluster(), again, now_s=NOW_S + 120)
    assert again.conditions == first.conditions
    assert gone.conditions[0].last_transition_time == to_rfc3339(NOW_S + 120)


def test_the_status_names_users() -> None:
    status = build(cluster(node("a")))
    assert (status.pools, status.used_by, status.observed_generation) == (1, ("ns/p",), 3)


def test_the_same_again_is_equal() -> None:
    seen = cluster(node("a"), claims=(claim("a", 1),))
    first = build(seen)
    assert build(replace(seen, claims=(claim("a", 1),)), first, now_s=NOW_S + 1) == first
