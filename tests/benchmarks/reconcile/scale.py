"""500 pools applied at once, against 500 bare Deployments created at once in the same run, all on hollow nodes."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster_client import ClusterClient

_DEADLINE_S = 600.0
# Seldom enough to cost little beside what is measured, often enough for times of tens of seconds.
_POLL_S = 1.0
# As many requests as kubectl with a raised limit would keep in flight.
_CONCURRENT_CREATES = 32


def bare_deployment(name: str, template: Mapping[str, Any]) -> dict[str, Any]:
    """A Deployment with one replica of the same pod that a pool's Deployment has."""
    labels = {"app": name}
    metadata = {**template["metadata"], "labels": labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {**template, "metadata": metadata},
        },
    }


def pool(name: str) -> dict[str, Any]:
    """A pool whose one replica a hollow node reports Ready."""
    return {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "LLMServingPool",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": "hf://mixserve/metered", "revision": "0" * 40},
            "variants": [{"name": "bf16", "quantization": "bf16", "accelerator": "l4"}],
        },
    }


def _is_available(deployment: Mapping[str, Any]) -> bool:
    return bool((deployment.get("status") or {}).get("readyReplicas"))


def is_ready(obj: Mapping[str, Any]) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


async def _create_all(client: ClusterClient, namespace: str, manifests: Sequence[Mapping[str, Any]]) -> None:
    limit = asyncio.Semaphore(_CONCURRENT_CREATES)

    async def create(manifest: Mapping[str, Any]) -> None:
        async with limit:
            await client.create(manifest, namespace=namespace)

    async with asyncio.TaskGroup() as group:
        for manifest in manifests:
            group.create_task(create(manifest))


async def time_until_ready(
    client: ClusterClient,
    *,
    namespace: str,
    manifests: Sequence[Mapping[str, Any]],
    ready: Callable[[Mapping[str, Any]], bool],
) -> float:
    """Create everything at once; seconds until the last one is ready.

    Raises:
        TimeoutError: with how many were ready in time.
    """
    began_s = time.monotonic()
    await _create_all(client, namespace, manifests)
    kind, api_version = manifests[0]["kind"], manifests[0]["apiVersion"]
    while True:
        found = await client.list_all(api_version, kind, namespace=namespace)
        done = sum(ready(item) for item in found)
        elapsed_s = time.monotonic() - began_s
        if done == len(manifests):
            return elapsed_s
        if elapsed_s > _DEADLINE_S:
            message = f"{done} of {len(manifests)} {kind}s were ready after {elapsed_s:.0f} s"
            raise TimeoutError(message)
        await asyncio.sleep(_POLL_S)


async def bare(client: ClusterClient, *, namespace: str, count: int, template: Mapping[str, Any]) -> float:
    """Seconds until so many bare Deployments are Ready."""
    manifests = [bare_deployment(f"bare-{number}", template) for number in range(count)]
    return await time_until_ready(client, namespace=namespace, manifests=manifests, ready=_is_available)


async def pools(client: ClusterClient, *, namespace: str, count: int) -> float:
    """Seconds until so many pools are Ready."""
    manifests = [pool(f"pool-{number}") for number in range(count)]
    return await time_until_ready(client, namespace=namespace, manifests=manifests, ready=is_ready)
