from __future__ import annotations

from datetime import UTC, datetime

from mixserve_devcluster.node.config import Gpu, NodeSpec
from mixserve_devcluster.node.node_objects import (
    allocatable,
    architecture,
    lease_manifest,
    node_labels,
    node_manifest,
    node_status,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
L4 = Gpu.model_validate({"product": "NVIDIA-L4", "count": 4, "memoryMiB": 23034, "computeMajor": 8, "computeMinor": 9})


def test_labels_of_a_gpu_node() -> None:
    labels = node_labels("n", NodeSpec(name="n", gpu=L4, labels={"mine": "x", "nvidia.com/gpu.count": "3"}))
    assert labels == {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture(),
        "kubernetes.io/hostname": "n",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-L4",
        "nvidia.com/gpu.memory": "23034",
        "nvidia.com/gpu.count": "3",
        "nvidia.com/gpu.family": "ada-lovelace",
        "nvidia.com/gpu.compute.major": "8",
        "nvidia.com/gpu.compute.minor": "9",
        "nvidia.com/gpu.replicas": "1",
        "mine": "x",
    }
    assert node_manifest("n", labels)["metadata"] == {"name": "n", "labels": labels}


def test_only_gpu_nodes_have_gpus() -> None:
    assert not [key for key in node_labels("n", NodeSpec(name="n")) if "nvidia" in key]
    assert "nvidia.com/gpu" not in allocatable(NodeSpec(name="n"))
    assert allocatable(NodeSpec(name="n", gpu=L4, cpu="2"))["nvidia.com/gpu"] == "4"


def test_status() -> None:
    status = node_status(NodeSpec(name="n", gpu=L4), "n", version="v1.36.3", log_port=1234, now=NOW)
    assert status["capacity"] == status["allocatable"]
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert conditions == {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 1234}}
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    without = node_status(NodeSpec(name="n"), "n", version="v1.36.3", log_port=None, now=NOW)
    assert "daemonEndpoints" not in without


def test_lease() -> None:
    assert lease_manifest("n", NOW)["spec"] == {
        "holderIdentity": "n",
        "leaseDurationSeconds": 40,
        "renewTime": "2026-01-02T03:04:05.678900Z",
    }
