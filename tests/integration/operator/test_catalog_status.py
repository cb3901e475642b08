"""The status of the catalogue's entries follows nodes, pods and pools."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.operator_numbers import number, writes
from support.pool_manifests import pool, variant
from support.pool_questions import find, get
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.installation import Installation
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration

NODE = "h100-7"
LABEL = "test.mixserve.dev/rack"
CLASS: dict[str, Any] = {
    "apiVersion": "mixserve.dev/v1alpha1",
    "kind": "AcceleratorClass",
    "metadata": {"name": "rack"},
    "spec": {
        "memory": "79Gi",
        "computeCapability": "9.0",
        "memoryBandwidth": 3350,
        "denseTeraflops": {"bits16": 989, "bits8": 1979},
        "pricePerHour": "6.88",
        "nodeRequirements": [
            {"key": LABEL, "operator": "Gt", "values": ["4"]},
            {"key": "nvidia.com/gpu.compute.major", "operator": "In", "values": ["9"]},
        ],
    },
}
FORMAT: dict[str, Any] = {
    "apiVersion": "mixserve.dev/v1alpha1",
    "kind": "QuantizationFormat",
    "metadata": {"name": "of-our-own"},
    "spec": {"bits": "8", "engines": [{"type": "vllm", "minimumComputeCapability": "8.0"}]},
}


@pytest.fixture
def rack(sandbox: PoolSandbox) -> Iterator[PoolSandbox]:
    """A class of GPUs that no node has yet."""
    sandbox.apply([CLASS])
    yield sandbox
    sandbox.kubectl("delete", "ac", "rack", "--ignore-not-found")
    sandbox.kubectl("label", "node", NODE, f"{LABEL}-")
    sandbox.kubectl("uncordon", NODE)


def status(sandbox: PoolSandbox) -> dict[str, Any]:
    return dict(get(sandbox, "ac", "rack").get("status", {}))


def numbers(sandbox: PoolSandbox) -> tuple[int | None, ...]:
    seen = status(sandbox)
    return tuple(seen.get(name) for name in ("nodes", "readyNodes", "gpus", "freeGpus"))


def wait_for(sandbox: PoolSandbox, *expected: int) -> None:
    eventually(lambda: numbers(sandbox) == expected, f"{expected} instead of {numbers(sandbox)}")


def reason(sandbox: PoolSandbox) -> tuple[str, str]:
    [condition] = status(sandbox)["conditions"]
    return condition["status"], condition["reason"]


def add_node(sandbox: PoolSandbox) -> None:
    sandbox.kubectl("label", "node", NODE, f"{LABEL}=5", "--overwrite")
    # Pods of earlier tests are still on their way out.
    wait_for(sandbox, 1, 1, 8, 8)


def holder(name: str, gpus: int) -> dict[str, Any]:
    """A pod that is none of ours, and holds GPUs in an init container, too."""
    resources = {"limits": {"nvidia.com/gpu": gpus}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "initContainers": [{"name": "first", "image": "example.com/x", "resources": resources}],
            "containers": [{"name": "main", "image": "example.com/x", "resources": resources}],
            "terminationGracePeriodSeconds": 0,
        },
    }


def test_the_status_follows_labels_pods_and_cordons(rack: PoolSandbox) -> None:
    wait_for(rack, 0, 0, 0, 0)
    assert reason(rack) == ("False", "NoMatchingNodes")
    add_node(rack)
    assert reason(rack) == ("True", "NodesFound")

    rack.apply([holder("three", 3), holder("five", 5)])
    wait_for(rack, 1, 1, 8, 0)
    rack.kubectl("delete", "pod", "three")
    wait_for(rack, 1, 1, 8, 3)

    rack.kubectl("cordon", NODE)
    wait_for(rack, 1, 0, 8, 0)
    rack.kubectl("label", "node", NODE, f"{LABEL}=4", "--overwrite")
    wait_for(rack, 0, 0, 0, 0)
    assert reason(rack) == ("False", "NoMatchingNodes")


def test_pools_that_use_an_entry_are_named(sandbox: PoolSandbox) -> None:
    sandbox.apply([FORMAT, pool("one", variant(quantization="of-our-own")), pool("two")])
    named = [f"{sandbox.namespace}/one"]
    eventually(lambda: get(sandbox, "qf", "of-our-own").get("status", {}).get("usedBy") == named, "the user")
    seen = get(sandbox, "qf", "of-our-own")
    assert seen["status"] == {"observedGeneration": 1, "pools": 1, "usedBy": named}
    both = {f"{sandbox.namespace}/one", f"{sandbox.namespace}/two"}
    eventually(lambda: both <= set(get(sandbox, "ac", "h100-80gb")["status"]["usedBy"]), "users of the GPU")
    sandbox.kubectl("delete", "lsp", "one")
    eventually(lambda: get(sandbox, "qf", "of-our-own")["status"]["pools"] == 0, "the end of the user")
    sandbox.kubectl("delete", "qf", "of-our-own")


def test_kubectl_get_shows_it(rack: PoolSandbox) -> None:
    add_node(rack)
    header, row = rack.kubectl("get", "ac", "rack").splitlines()
    assert header.split() == ["NAME", "MEMORY", "CAPABILITY", "USD/H", "NODES", "GPUS", "FREE", "POOLS", "AGE"]
    assert row.split()[4:8] == ["1", "8", "8", "0"]


def test_applying_the_manifest_again_keeps_the_status(rack: PoolSandbox) -> None:
    add_node(rack)
    rack.apply([CLASS])
    assert numbers(rack) == (1, 1, 8, 8)
    dearer = {**CLASS, "spec": {**CLASS["spec"], "pricePerHour": "7"}}
    rack.apply([dearer])
    assert numbers(rack) == (1, 1, 8, 8)
    eventually(lambda: status(rack)["observedGeneration"] == 2, "the new generation")


def test_a_class_that_comes_back_is_no_other_one(rack: PoolSandbox) -> None:
    add_node(rack)
    rack.kubectl("delete", "ac", "rack")
    assert find(rack, "ac", "rack") == {}
    rack.apply([CLASS])
    wait_for(rack, 1, 1, 8, 8)


def versions(sandbox: PoolSandbox) -> dict[str, str]:
    listed = json.loads(sandbox.kubectl("get", "ac,qf", "--output=json"))["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in listed}


def all_said(sandbox: PoolSandbox) -> bool:
    listed = json.loads(sandbox.kubectl("get", "ac,qf", "--output=json"))["items"]
    return all(one.get("status", {}).get("pools") is not None for one in listed)


def test_a_restart_writes_nothing(rack: PoolSandbox, installation: Installation) -> None:
    eventually(lambda: number(installation, "mixserve_pools") == 0.0, "the end of earlier pools")
    add_node(rack)
    eventually(lambda: all_said(rack), "a status of every entry")
    before = versions(rack)
    installation.stop_operator()
    installation.start_operator()
    eventually(lambda: number(installation, "mixserve_leader") == 1.0, "leader")
    # Longer than news is collected: that nothing is written can't be waited for.
    start = number(installation, "mixserve_scrape_turns_total")
    eventually(lambda: number(installation, "mixserve_scrape_turns_total") >= start + 200, "some beats")
    assert versions(rack) == before
    assert set(writes(installation)) == {"leases"}


def test_free_gpus_change_without_a_look_at_any_pool(rack: PoolSandbox, installation: Installation) -> None:
    """A status of the catalogue is no change of the catalogue: thousands of pools would be looked at for nothing."""
    eventually(lambda: number(installation, "mixserve_pools") == 0.0, "the end of earlier pools")
    rack.kubectl("cordon", NODE)  # the pool's replica takes a GPU of another node
    rack.apply([pool()])
    rack.wait_until_ready("chat")
    rack.kubectl("uncordon", NODE)
    add_node(rack)
    looks = {"name": "mixserve_reconcile_duration_seconds_count", "result": "ok"}
    eventually(lambda: rest(installation, looks), "rest")
    before = number(installation, **looks)
    rack.apply([holder("three", 3)])
    wait_for(rack, 1, 1, 8, 5)
    assert number(installation, **looks) - before <= 1  # the beat's own, once a minute


def rest(installation: Installation, looks: dict[str, str]) -> bool:
    before = number(installation, **looks)
    time.sleep(2.0)  # to measure, not to wait for something
    return number(installation, **looks) == before
