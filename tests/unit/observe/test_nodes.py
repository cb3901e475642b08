from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.cluster_observation import NodeObservation, PodClaim
from mixserve.observe.nodes import observe_claim, observe_node

GPU = "nvidia.com/gpu"


def node(*, ready: str | None = "True", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "MemoryPressure", "status": "True"}]
    if ready is not None:
        conditions.append({"type": "Ready", "status": ready})
    return {
        "metadata": {"name": "a", "labels": {"x": "y"}},
        "spec": spec,
        "status": {"allocatable": {"cpu": "8", GPU: "8"}, "conditions": conditions},
    }


def test_a_node_has_labels_and_what_it_offers() -> None:
    assert observe_node(node()) == NodeObservation("a", {"x": "y"}, takes_pods=True, offers={GPU: 8})


@pytest.mark.parametrize(
    ("seen", "takes_pods"),
    [
        (node(unschedulable=False), True),
        (node(unschedulable=True), False),
        (node(ready="False"), False),
        (node(ready="Unknown"), False),
        (node(ready=None), False),
    ],
)
def test_a_node_takes_pods_when_it_is_ready_and_not_cordoned(seen: dict[str, Any], takes_pods: bool) -> None:
    assert observe_node(seen).takes_pods is takes_pods


def test_a_node_that_has_said_nothing_yet_offers_nothing() -> None:
    assert observe_node({"metadata": {"name": "a"}}) == NodeObservation("a", {}, takes_pods=False, offers={})


def container(gpus: int, **fields: Any) -> dict[str, Any]:
    return {"name": "x", "resources": {"requests": {GPU: str(gpus), "cpu": "1"}}, **fields}


def sidecar(gpus: int) -> dict[str, Any]:
    return container(gpus, restartPolicy="Always")


@pytest.mark.parametrize(
    ("init", "containers", "held"),
    [
        ([], [container(1), container(2)], 3),
        ([container(4)], [container(1)], 4),
        ([container(1), container(2)], [container(1)], 2),
        ([sidecar(1)], [container(2)], 3),
        # The init container runs beside the sidecar that was started before it.
        ([sidecar(1), container(4)], [container(2)], 5),
        ([container(4), sidecar(1)], [container(2)], 4),
    ],
)
def test_a_pod_holds_what_the_scheduler_reserves(init: list[Any], containers: list[Any], held: int) -> None:
    pod = {"spec": {"nodeName": "a", "initContainers": init, "containers": containers}}
    assert observe_claim(pod) == PodClaim("a", {GPU: held})


def test_a_pod_without_devices_is_of_no_interest() -> None:
    assert observe_claim({"spec": {"nodeName": "a", "containers": [{"name": "x"}]}}) is None
