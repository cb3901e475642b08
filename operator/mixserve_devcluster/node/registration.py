"""Registers nodes and keeps their leases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from mixserve_devcluster.node.api_server import ApiError, ApiServer, ConflictError, NotFoundError
from mixserve_devcluster.node.node_objects import (
    LEASE_DURATION_S,
    LEASE_NAMESPACE,
    lease_manifest,
    node_labels,
    node_manifest,
    node_status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.node.config import NodeSpec

_log = structlog.get_logger()

_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases"


async def register(api: ApiServer, nodes: Mapping[str, NodeSpec], log_port: int | None) -> None:
    """Create the Node objects, or bring those of an earlier life up to date, and their leases.

    Raises:
        ApiError: the API server does not take one.
    """
    version = str((await api.get("/version"))["gitVersion"])
    await asyncio.gather(*(_register(api, name, spec, version, log_port) for name, spec in nodes.items()))


async def _register(api: ApiServer, name: str, spec: NodeSpec, version: str, log_port: int | None) -> None:
    now, path = datetime.now(UTC), f"/api/v1/nodes/{name}"
    manifest = node_manifest(name, node_labels(name, spec))
    try:
        await api.create("/api/v1/nodes", manifest)
    except ConflictError:
        await api.patch(path, {"metadata": {"labels": manifest["metadata"]["labels"]}})
    await _renew(api, name)
    status = node_status(spec, name, version=version, log_port=log_port, now=now)
    await api.patch(f"{path}/status", {"status": status})


async def keep_leases(api: ApiServer, names: list[str]) -> None:
    """Renew the leases in time, without end."""
    while True:
        await asyncio.sleep(LEASE_DURATION_S / 4)
        try:
            await asyncio.gather(*(_renew(api, name) for name in names))
        except ApiError as error:
            _log.warning("lease_renewal_failed", error=str(error))


async def _renew(api: ApiServer, name: str) -> None:
    lease = lease_manifest(name, datetime.now(UTC))
    try:
        await api.patch(f"{_LEASES}/{name}", {"spec": lease["spec"]})
    except NotFoundError:
        await api.create(_LEASES, lease)
