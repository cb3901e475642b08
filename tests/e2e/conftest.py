"""Mixserve on a cluster with simulated GPUs, where the simulated engine stands for vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.engine.environment import FAILURE, ForcedFailure
from mixserve_devcluster.gpu_nodes import a100_nodes, b200_nodes, h100_nodes, l4_nodes
from mixserve_devcluster.images import simulated_images
from mixserve_devcluster.installation import Installation, installed
from support.namespaces import new_namespace
from support.pool_sandbox import PoolSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

# Twenty times as fast as real time: the largest example loads its weights in under two seconds.
_TIME_SCALE = 0.05


@pytest.fixture(scope="session")
def gpu_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with sixteen L4, eight A100, H100 and B200, and an image for each start that fails."""
    images = [*simulated_images(time_scale=_TIME_SCALE), *(failing_image(failure) for failure in ForcedFailure)]
    gpus = [l4_nodes(2, gpus=8), a100_nodes(1), h100_nodes(1), b200_nodes(1)]
    nodes = {"nodes": gpus, "images": images}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("e2e", node_config=nodes) as cluster:
            yield cluster


def failing_image(failure: ForcedFailure) -> dict[str, Any]:
    """The image local/failing:FAILURE: a simulated engine that fails to start."""
    image, *_ = simulated_images(time_scale=_TIME_SCALE)
    return {**image, "pattern": f"local/failing:{failure}", "env": {**image["env"], FAILURE: failure.value}}


@pytest.fixture(scope="session")
def installation(gpu_cluster: Cluster) -> Iterator[Installation]:
    """Mixserve installed on `gpu_cluster`, its operator under the chart's ServiceAccount."""
    with installed(gpu_cluster.kubeconfig) as mixserve:
        yield mixserve


@pytest.fixture
def sandbox(gpu_cluster: Cluster, installation: Installation) -> Iterator[PoolSandbox]:
    """A namespace of the test's own on a cluster with Mixserve; deleted afterwards."""
    name = new_namespace(gpu_cluster)
    yield PoolSandbox(gpu_cluster, name)
    gpu_cluster.plane.api.delete(f"/api/v1/namespaces/{name}")
