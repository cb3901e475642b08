"""Registers nodes and keeps them Ready."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from mixserve_devcluster.node.api_server import ApiError, ApiServer, ConflictError, NotFoundError
from mixserve_devcluster.node.node_objects import (
    LEASE_DURATION_S,
    LEASE_NAMESPACE,
    is_ready,
    lease_manifest,
    node_labels,
    node_manifest,
    node_status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.node.config import NodeSpec

_log = structlog.get_logger()

_NODES = "/api/v1/nodes"
_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases"
# As a kubelet.
_RENEWAL_S = LEASE_DURATION_S / 4


class Registration:
    """The Node objects of this process's nodes, and their leases.

    Args:
        api: the API server.
        nodes: the nodes by name.
        log_port: where the API server asks for logs; None: nowhere.
    """

    def __init__(self, api: ApiServer, nodes: Mapping[str, NodeSpec], log_port: int | None) -> None:
        self._api = api
        self._nodes = nodes
        self._log_port = log_port
        self._version = ""

    async def begin(self) -> None:
        """Create the Node objects, or bring those of an earlier life up to date, and their leases.

        Raises:
            ApiError: the API server does not take one.
        """
        self._version = str((await self._api.get("/version"))["gitVersion"])
        await asyncio.gather(*(self._register(name, spec) for name, spec in self._nodes.items()))

    async def keep(self) -> None:
        """Renew the leases in time, and report nodes again that are taken for dead, without end."""
        while True:
            await asyncio.sleep(_RENEWAL_S)
            try:
                await asyncio.gather(*(self._renew(name) for name in self._nodes))
                await self._report_again()
            except ApiError as error:
                _log.warning("lease_renewal_failed", error=str(error))

    async def _register(self, name: str, spec: NodeSpec) -> None:
        manifest = node_manifest(name, node_labels(name, spec))
        try:
            await self._api.create(_NODES, manifest)
        except ConflictError:
            await self._api.patch(f"{_NODES}/{name}", {"metadata": {"labels": manifest["metadata"]["labels"]}})
        await self._renew(name)
        await self._report(name)

    async def _renew(self, name: str) -> None:
        lease = lease_manifest(name, datetime.now(UTC))
        try:
            await self._api.patch(f"{_LEASES}/{name}", {"spec": lease["spec"]})
        except NotFoundError:
            await self._api.create(_LEASES, lease)

    async def _report(self, name: str) -> None:
        now = datetime.now(UTC)
        status = node_status(self._nodes[name], name, version=self._version, log_port=self._log_port, now=now)
        await self._api.patch(f"{_NODES}/{name}/status", {"status": status})

    async def _report_again(self) -> None:
        """Report the nodes that the node lifecycle controller has given up; a Lease alone does not bring them back.

        It does so when leases are late, such as after the machine was asleep or had too much to do.
        """
        # Version 0: what the API server has in memory, which costs it little.
        listed: list[dict[str, Any]] = (await self._api.get(_NODES, resourceVersion="0"))["items"]
        lost = [node["metadata"]["name"] for node in listed if not is_ready(node)]
        for name in sorted(self._nodes.keys() & lost):
            _log.warning("node_reported_again", node=name)
            await self._report(name)
