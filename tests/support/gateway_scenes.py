"""A namespace with small pools, policies and their gateway, on a cluster whose engines are ready at once."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.gateway_names import WEB_PORT
from mixserve.api.names import LABEL_GATEWAY, LABEL_ROUTABLE
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import simulated_images
from mixserve_devcluster.installation import installed
from support.namespaces import new_namespace
from support.pool_manifests import pool, variant
from support.pool_sandbox import PoolSandbox
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Half a billion parameters: a gigabyte, which a simulated L4 reads in some milliseconds for each token.
_SMALL = {
    "parameters": 500_000_000,
    "layers": 8,
    "hiddenSize": 2048,
    "attentionHeads": 16,
    "keyValueHeads": 4,
    "vocabularySize": 32_000,
}
# Seconds of the clock until an engine is ready.
_COLD_START_S = 0.5


@contextlib.contextmanager
def gateway_cluster(
    name: str, state: Path, *, time_scale: float, values: Mapping[str, Any] | None = None
) -> Iterator[PoolSandbox]:
    """A namespace on a cluster of its own with Mixserve.

    Args:
        name: of the cluster.
        state: directory for its files.
        time_scale: of the engines: seconds of the clock per simulated second.
        values: the chart's.
    """
    images = simulated_images(time_scale=time_scale, cold_start_s=_COLD_START_S / time_scale)
    nodes = {"nodes": [l4_nodes(2, gpus=8)], "images": images}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        with Cluster.start(name, node_config=nodes) as cluster, installed(cluster.kubeconfig, values=values):
            yield PoolSandbox(cluster, new_namespace(cluster))


def small_pool(name: str, *, replicas: int = 1, model: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A pool of a small model on L4s that keeps its size."""
    made = pool(name, variant(accelerator="l4", least=replicas, most=replicas), **spec)
    facts = {**made["spec"]["model"]["facts"], **_SMALL, "headSize": 128}
    made["spec"]["model"] |= {"facts": facts, **(model or {})}
    return made


def engines(sandbox: PoolSandbox, name: str, *, replicas: int = 1) -> list[dict[str, Any]]:
    """The pods of a pool, once so many of them take requests; by name."""

    def ready() -> list[dict[str, Any]]:
        pods = [each for each in sandbox.items("pods", pool=name) if _takes_requests(each)]
        return pods if len(pods) == replicas else []

    return sorted(eventually(ready, f"{replicas} engines of {name}", 180.0), key=lambda pod: pod["metadata"]["name"])


def gateway_pods(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    """The gateway's pods that are not about to end, by name."""
    listed = sandbox.kubectl("get", "pods", "--selector", f"{LABEL_GATEWAY}=true", "--output", "json")
    pods = [each for each in json.loads(listed)["items"] if "deletionTimestamp" not in each["metadata"]]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def web_url(pod: Mapping[str, Any]) -> str:
    """Where the gateway's process of a pod has its metrics."""
    return f"http://{pod['status']['podIP']}:{WEB_PORT}"


def _takes_requests(pod: Mapping[str, Any]) -> bool:
    labels = pod["metadata"].get("labels", {})
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"] and labels.get(LABEL_ROUTABLE) == "true"
