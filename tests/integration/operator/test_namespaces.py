"""An operator that looks after some namespaces only, with rights in these only."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import h100_nodes
from mixserve_devcluster.installation import installed
from support.pool_manifests import pool
from support.pool_questions import find
from support.pool_sandbox import PoolSandbox
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


@pytest.fixture
def sandboxes(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PoolSandbox, PoolSandbox]]:
    """A namespace that is looked after and one that is not, on a cluster of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    nodes = {"nodes": [{**h100_nodes(1), "mode": "hollow"}]}
    with Cluster.start(f"some-{uuid.uuid4().hex[:6]}", node_config=nodes) as cluster:
        for name in ("ours", "theirs"):
            cluster.plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        with installed(cluster.kubeconfig, values={"operator": {"watchNamespaces": ["ours"]}}):
            yield PoolSandbox(cluster, "ours"), PoolSandbox(cluster, "theirs")


def test_other_namespaces_are_left_alone(sandboxes: tuple[PoolSandbox, PoolSandbox]) -> None:
    ours, theirs = sandboxes
    theirs.apply([pool("not-ours")])
    ours.apply([pool()])
    ours.wait_until_ready("chat")
    ours.kubectl("delete", "service", "chat")
    eventually(lambda: find(ours, "service", "chat"), "a new service", 10.0)
    assert "status" not in theirs.pool("not-ours")
    assert json.loads(theirs.kubectl("get", "deployments", "--output=json"))["items"] == []
