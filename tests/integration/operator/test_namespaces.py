"""An operator that looks after some namespaces only, with rights in these only."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import h100_nodes
from mixserve_devcluster.installation import installed
from support.operator_numbers import number
from support.pool_manifests import pool
from support.pool_questions import find, get
from support.pool_sandbox import PoolSandbox
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.installation import Installation

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster with one node of eight GPUs and two namespaces."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    nodes = {"nodes": [{**h100_nodes(1), "mode": "hollow"}]}
    with Cluster.start(f"some-{uuid.uuid4().hex[:6]}", node_config=nodes) as cluster:
        for name in ("ours", "theirs"):
            cluster.plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        yield cluster


@contextlib.contextmanager
def in_ours(cluster: Cluster, **values: Any) -> Iterator[Installation]:
    with installed(cluster.kubeconfig, values={"operator": {"watchNamespaces": ["ours"], **values}}) as installation:
        yield installation


def test_other_namespaces_are_left_alone(cluster: Cluster) -> None:
    ours, theirs = PoolSandbox(cluster, "ours"), PoolSandbox(cluster, "theirs")
    with in_ours(cluster):
        theirs.apply([pool("not-ours")])
        ours.apply([pool()])
        ours.wait_until_ready("chat")
        ours.kubectl("delete", "service", "chat")
        eventually(lambda: find(ours, "service", "chat"), "a new service", 10.0)
        assert "status" not in theirs.pool("not-ours")
        assert json.loads(theirs.kubectl("get", "deployments", "--output=json"))["items"] == []


def test_free_gpus_are_unknown_until_nodes_may_be_listed(cluster: Cluster) -> None:
    ours, theirs = PoolSandbox(cluster, "ours"), PoolSandbox(cluster, "theirs")
    ours.apply([stranger()])
    theirs.apply([stranger()])
    with in_ours(cluster) as installation:
        ours.apply([pool()])
        eventually(lambda: status(ours).get("usedBy") == ["ours/chat"], "the user")
        [condition] = status(ours)["conditions"]
        assert (condition["status"], condition["reason"]) == ("Unknown", "NotPermitted")
        assert "operator.watchNodes=true" in condition["message"]
        assert not {"nodes", "gpus", "freeGpus"} & set(status(ours))
        ours.wait_until_ready("chat")
        for resource in ("nodes", "pods"):
            refused = {"name": "mixserve_api_calls_total", "verb": "list", "resource": resource, "code": "403"}
            assert number(installation, **refused) == 1.0
    with in_ours(cluster, watchNodes=True):
        # Those of all namespaces, and our own pool's.
        eventually(lambda: status(ours).get("freeGpus") == 8 - 1 - 1 - 1, "free GPUs")
        [condition] = status(ours)["conditions"]
        assert (condition["status"], condition["reason"]) == ("True", "NodesFound")


def stranger() -> dict[str, Any]:
    """A pod that holds a GPU and is none of ours."""
    container = {"name": "main", "image": "example.com/x", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger"},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def status(sandbox: PoolSandbox) -> dict[str, Any]:
    return dict(get(sandbox, "ac", "h100-80gb").get("status", {}))
