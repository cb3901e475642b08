"""Writes a pod's status to the API server whenever it has changed, and its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mixserve_devcluster.node.api_server import ApiError, ApiServer, ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_log = structlog.get_logger()

# After a failed call to the API server.
_RETRY_S = 1.0


class StatusPublisher:
    """Reports on one pod.

    Attributes:
        reported: the status that the API server has, as far as it is known here.
    """

    def __init__(self, api: ApiServer, pod: Mapping[str, Any], status: Callable[[], dict[str, Any]]) -> None:
        metadata = pod["metadata"]
        self.reported: Mapping[str, Any] = pod.get("status", {})
        self._api = api
        self._path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._uid = metadata["uid"]
        self._status = status
        self._dirty = asyncio.Event()
        self._writing = asyncio.Lock()

    def notice(self) -> None:
        """Say that the status may have changed."""
        self._dirty.set()

    async def run(self) -> None:
        """Write the status after each notice, without end."""
        while True:
            await self._dirty.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write the status now, if it has changed; a pod that is gone has none."""
        async with self._writing:
            await self._insist(self._write)

    async def delete_pod(self) -> None:
        """Remove the pod's object: nothing of it is left here."""
        await self._insist(self._delete)

    async def _write(self) -> None:
        self._dirty.clear()
        status = self._status()
        if status != self.reported:
            body = {"metadata": {"uid": self._uid}, "status": _as_patch(status)}
            await self._api.patch(f"{self._path}/status", body)
            self.reported = status

    async def _delete(self) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        await self._api.delete(self._path, {"apiVersion": "v1", "kind": "DeleteOptions", **options})

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await write()
            except (NotFoundError, ConflictError):
                return  # the pod is gone, or another one has its name
            except ApiError as error:
                _log.warning("pod_write_failed", path=self._path, error=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return


def _as_patch(status: dict[str, Any]) -> dict[str, Any]:
    """The status as a strategic merge patch: by default, addresses of an earlier life would stay in the lists."""
    lists: dict[str, Any] = {
        field: [*status[field], {"$patch": "replace"}] for field in ("podIPs", "hostIPs") if field in status
    }
    return {**status, **lists}
