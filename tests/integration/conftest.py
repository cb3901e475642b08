"""A cluster with a local node, for tests of plain pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.cluster import Cluster
from support.namespaces import new_namespace
from support.plain_pods import MODE_LABEL, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

_NODES = {
    # Ten seconds of back-off take 0.2 s.
    "timeFactor": 0.02,
    "nodes": [
        {
            "name": "gpu",
            "labels": {MODE_LABEL: "process"},
            "gpu": {
                "product": "NVIDIA-L4",
                "count": 4,
                "memoryMiB": 23034,
                "computeMajor": 8,
                "computeMinor": 9,
            },
        },
        {"name": "hollow", "count": 3, "mode": "hollow", "labels": {MODE_LABEL: "hollow"}},
    ],
    "images": [
        {
            "pattern": "example.com/simulated:*",
            "simulated": True,
            "executables": {"greet": ["echo", "greetings from"]},
            "entrypoint": ["greet"],
            "env": {"FROM_IMAGE": "yes"},
        }
    ],
}


@pytest.fixture(scope="session")
def node_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with one node that runs processes, on which there are 4 GPUs, and three hollow nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("plain-pods", node_config=_NODES) as cluster:
            yield cluster


@pytest.fixture
def sandbox(node_cluster: Cluster) -> Iterator[Sandbox]:
    """A namespace of the test's own in `node_cluster`; deleted afterwards."""
    name = new_namespace(node_cluster)
    yield Sandbox(node_cluster, name)
    node_cluster.plane.api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def isolated(sandbox: Sandbox) -> None:
    """Processes of pods have namespaces of their own; without them, see the node's documentation for what differs."""
    if not sandbox.is_isolated:
        pytest.skip("needs mount and process namespaces, which are not permitted here (docs/local-node.md)")
