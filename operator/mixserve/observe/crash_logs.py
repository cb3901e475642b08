"""The end of a crashed container's log, read once per crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.apply.errors import ApiError
from mixserve.apply.resources import PODS
from mixserve.observe.pods import container_statuses, crash_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection

# When a worker of vLLM fails, the processes above it log their tracebacks as well: 120 lines after the cause.
TAIL_LINES = 200
# What the kubelet may send: it cuts the end of what is longer, so this is far above 200 usual lines ...
MAX_LOG_BYTES = 256 * 2**10
# ... and what is kept of it, the end.
MAX_TAIL_CHARACTERS = 16 * 2**10


class CrashLogs:
    """Keeps the log tail of each pod's latest crash."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tails: dict[str, tuple[tuple[str, int], str]] = {}

    async def tail(self, pod: Mapping[str, Any]) -> str:
        """The end of the log of the container that crashed; empty without a crash, or where it can't be read."""
        container = _crashed(pod)
        if container is None:
            return ""
        uid, crash = pod["metadata"]["uid"], (container["name"], container.get("restartCount", 0))
        known = self._tails.get(uid)
        if known is None or known[0] != crash:
            known = self._tails[uid] = (crash, await self._read(pod["metadata"], container))
        return known[1]

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        self._tails.pop(uid, None)

    async def _read(self, metadata: Mapping[str, Any], container: Mapping[str, Any]) -> str:
        if "terminated" not in container.get("state", {}) and container.get("restartCount", 0) > 0:
            return await self._part(metadata, container, previous="true")
        # It may be restarted while we ask: what was its current log is then its previous one.
        current = await self._part(metadata, container, previous="false")
        return await self._part(metadata, container, previous="true") + current

    async def _part(self, metadata: Mapping[str, Any], container: Mapping[str, Any], *, previous: str) -> str:
        query = {
            "container": container["name"],
            "previous": previous,
            "tailLines": str(TAIL_LINES),
            "limitBytes": str(MAX_LOG_BYTES),
        }
        try:
            text = await self._connection.pod_log(
                PODS, namespace=metadata["namespace"], name=metadata["name"], query=query
            )
        except ApiError:  # the pod may be gone, or its node unreachable; the crash itself is known without the log
            return ""
        return text[-MAX_TAIL_CHARACTERS:]


def _crashed(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "deletionTimestamp" in pod["metadata"]:
        return None
    statuses = container_statuses(pod.get("status", {}))
    return next((container for container in statuses if crash_of(container) is not None), None)
