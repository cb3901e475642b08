"""Pools in a namespace of a cluster on which Mixserve is installed."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ENGINE_PORT_NAME, LABEL_POOL
from mixserve_devcluster import kubectl
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve_devcluster.cluster import Cluster

POOLS = "llmservingpools.mixserve.dev"
# Every kind that a pool owns, directly or through others.
OWNED = "deployments,replicasets,pods,services,serviceaccounts,configmaps,poddisruptionbudgets"


@dataclass(frozen=True)
class PoolSandbox:
    """A namespace of a cluster."""

    cluster: Cluster
    namespace: str

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace and return what it prints."""
        return kubectl.run(self.cluster.kubeconfig, "--namespace", self.namespace, *arguments)

    def apply(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Apply objects into the namespace."""
        kubectl.apply(self.cluster.kubeconfig, manifests, namespace=self.namespace)

    def items(self, kinds: str, *, pool: str) -> list[dict[str, Any]]:
        """The objects that belong to a pool."""
        listed = self.kubectl("get", kinds, "--selector", f"{LABEL_POOL}={pool}", "--output", "json")
        return list(json.loads(listed)["items"])

    def pool(self, name: str) -> dict[str, Any]:
        """A pool as it is now."""
        return dict(json.loads(self.kubectl("get", POOLS, name, "--output", "json")))

    def wait_until_ready(self, name: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """Wait for a pool's Ready condition and return the pool; fails with its conditions."""

        def look() -> dict[str, Any]:
            seen = self.pool(name)
            return seen if is_ready(seen) else {}

        try:
            return eventually(look, f"Ready condition of {name}", timeout_s)
        except pytest.fail.Exception as failure:
            conditions = json.dumps(self.pool(name).get("status", {}).get("conditions", []), indent=1)
            pytest.fail(f"{failure}\n{conditions}")

    def delete_pool(self, name: str, timeout_s: float = 120.0) -> None:
        """Delete a pool and wait until nothing of it is left."""
        self.kubectl("delete", POOLS, name, "--wait=false")
        eventually(lambda: not self.items(OWNED, pool=name), f"end of everything that {name} owned", timeout_s)


def is_ready(pool: Mapping[str, Any]) -> bool:
    """Whether the Ready condition is True for the spec as it is now."""
    conditions = pool.get("status", {}).get("conditions", [])
    return any(
        each["type"] == "Ready"
        and each["status"] == "True"
        and each["observedGeneration"] == pool["metadata"]["generation"]
        for each in conditions
    )


def complete(pod: Mapping[str, Any], *, model: str, max_tokens: int, **more: Any) -> dict[str, Any]:
    """Ask the engine of a pod for a completion and return its answer."""
    return ask(pod, "/v1/completions", model=model, prompt="Hello", max_tokens=max_tokens, **more)


def ask(pod: Mapping[str, Any], path: str, **body: Any) -> dict[str, Any]:
    """POST a body to the engine of a pod and return its answer."""
    [engine] = pod["spec"]["containers"]
    port = next(each["containerPort"] for each in engine["ports"] if each["name"] == ENGINE_PORT_NAME)
    connection = http.client.HTTPConnection(pod["status"]["podIP"], port, timeout=60)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == http.HTTPStatus.OK, text
    return dict(json.loads(text))
