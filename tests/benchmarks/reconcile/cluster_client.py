"""The few calls that the benchmark makes as an administrator, over the official client."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from kubernetes.aio import config
from kubernetes.aio.dynamic import DynamicClient

_DEADLINE_S = 600.0
# Seldom enough to cost little beside what is measured, often enough for times of tens of seconds.
_POLL_S = 1.0


class ClusterClient:
    """Create, list, patch and delete by kind."""

    def __init__(self, client: DynamicClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls, kubeconfig: Path) -> Self:
        """Read the cluster's discovery; the custom kinds have to be installed."""
        return cls(await DynamicClient(await config.new_client_from_config(str(kubeconfig))))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.client.close()

    async def create(self, manifest: Mapping[str, Any], *, namespace: str | None = None) -> dict[str, Any]:
        """POST one object."""
        resource = await self._client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        created = await self._client.create(resource, body=dict(manifest), namespace=namespace)
        return dict(created.to_dict())

    async def list_all(self, api_version: str, kind: str, *, namespace: str) -> list[dict[str, Any]]:
        """All objects of a kind in a namespace, decoded and no more: this shares its cores with what it measures."""
        resource = await self._client.resources.get(api_version=api_version, kind=kind)
        response = await self._client.get(resource, namespace=namespace or None, serialize=False)
        return list(json.loads(await response.read())["items"])

    async def get(self, api_version: str, kind: str, *, namespace: str, name: str) -> dict[str, Any]:
        """One object."""
        resource = await self._client.resources.get(api_version=api_version, kind=kind)
        return dict((await self._client.get(resource, namespace=namespace, name=name)).to_dict())

    async def create_namespace(self, name: str) -> None:
        """Make a namespace and wait for its default ServiceAccount, without which no pod is admitted."""
        await self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await self.wait("v1", "ServiceAccount", namespace=name, holds=bool)

    async def wait(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str,
        holds: Callable[[Sequence[Mapping[str, Any]]], bool],
    ) -> Sequence[Mapping[str, Any]]:
        """Wait until a condition holds for the objects of a kind in a namespace, and return them.

        Raises:
            TimeoutError: it did not in ten minutes.
        """
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                found = await self.list_all(api_version, kind, namespace=namespace)
                if holds(found):
                    return found
                await asyncio.sleep(_POLL_S)

    async def delete_namespace(self, name: str) -> None:
        """Delete a namespace and wait until it is gone."""
        resource = await self._client.resources.get(api_version="v1", kind="Namespace")
        await self._client.delete(resource, name=name)
        await self.wait("v1", "Namespace", namespace="", holds=lambda found: all(_name(item) != name for item in found))

    async def delete(self, api_version: str, kind: str, *, namespace: str, name: str) -> None:
        """Delete one object; owner references take the rest along."""
        resource = await self._client.resources.get(api_version=api_version, kind=kind)
        await self._client.delete(resource, namespace=namespace, name=name)


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["name"])
