"""Mixserve on a cluster whose nodes are hollow: pods are Ready at once, and nothing runs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import h100_nodes
from mixserve_devcluster.installation import Installation, installed
from support.namespaces import new_namespace
from support.pool_sandbox import PoolSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

# The beat ten times as fast as usual; the Lease as short as it may be.
SETTINGS = {"MIXSERVE_SCRAPE_INTERVAL_S": "0.5", "MIXSERVE_LEASE_DURATION_S": "3"}


@pytest.fixture(scope="session")
def hollow_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with 64 H100, none of which has to do anything."""
    nodes = {"nodes": [{**h100_nodes(8), "mode": "hollow"}]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("hollow", node_config=nodes) as cluster:
            yield cluster


@pytest.fixture(scope="session")
def installation(hollow_cluster: Cluster) -> Iterator[Installation]:
    """Mixserve installed on `hollow_cluster`, its operator under the chart's ServiceAccount."""
    with installed(hollow_cluster.kubeconfig, settings=SETTINGS) as mixserve:
        yield mixserve


@pytest.fixture
def sandbox(hollow_cluster: Cluster, installation: Installation) -> Iterator[PoolSandbox]:
    """A namespace of the test's own on a cluster with Mixserve; deleted afterwards."""
    name = new_namespace(hollow_cluster)
    sandbox = PoolSandbox(hollow_cluster, name)
    yield sandbox
    sandbox.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
