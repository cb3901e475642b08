"""The end of a crashed container's log, read once per crash."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from mixserve.apply.errors import ApiError
from mixserve.apply.resources import PODS
from mixserve.observe.pods import container_statuses, crash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mixserve.apply.connection import Connection

    _Crash = tuple[str, int]

# When a worker of vLLM fails, the processes above it log their tracebacks as well: 120 lines after the cause.
TAIL_LINES = 200
# What the kubelet may send: it cuts the end of what is longer, so this is far above 200 usual lines ...
MAX_LOG_BYTES = 256 * 2**10
# ... and what is kept of it, the end.
MAX_TAIL_CHARACTERS = 16 * 2**10


# How long a look at a pool waits for logs. A kubelet on a healthy node needs much less; on another it may not answer at
# all, and the pool has to be decided about.
_LONGEST_WAIT_S = 3.0
# At a time, for all pools.
_MOST_READS = 8


class CrashLogs:
    """Keeps the log tail of each pod's latest crash.

    Args:
        connection: to the API server.
        read: called with the pod when a log has been read that nobody waited for any more.
    """

    def __init__(self, connection: Connection, *, read: Callable[[Mapping[str, Any]], None]) -> None:
        self._connection = connection
        self._has_read = read
        self._limit = asyncio.Semaphore(_MOST_READS)
        self._tails: dict[str, tuple[_Crash, asyncio.Task[str]]] = {}

    async def tail(self, pod: Mapping[str, Any]) -> str:
        """The end of the log of the container that crashed.

        Returns:
            Nothing without a crash, where it can't be read, or where reading takes too long; then `read` tells later.
        """
        container = _crashed(pod)
        if container is None:
            return ""
        uid, crash = pod["metadata"]["uid"], (container["name"], container.get("restartCount", 0))
        known = self._tails.get(uid)
        if known is None or known[0] != crash:
            self.forget(uid)
            task = asyncio.create_task(self._read(pod["metadata"], container), name=f"log {uid}")
            known = self._tails[uid] = (crash, task)
            if not await _ends(task):
                task.add_done_callback(partial(self._late, pod))
        return known[1].result() if known[1].done() and not known[1].cancelled() else ""

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        known = self._tails.pop(uid, None)
        if known is not None:
            known[1].cancel()

    def _late(self, pod: Mapping[str, Any], task: asyncio.Task[str]) -> None:
        if not task.cancelled():
            self._has_read(pod)

    async def _read(self, metadata: Mapping[str, Any], container: Mapping[str, Any]) -> str:
        async with self._limit:
            return await self._read_now(metadata, container)

    async def _read_now(self, metadata: Mapping[str, Any], container: Mapping[str, Any]) -> str:
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


async def _ends(task: asyncio.Task[str]) -> bool:
    """Whether the task ends in good time; it goes on in any case."""
    done, _ = await asyncio.wait({task}, timeout=_LONGEST_WAIT_S)
    return bool(done)


def _crashed(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "deletionTimestamp" in pod["metadata"]:
        return None
    statuses = container_statuses(pod.get("status", {}))
    return next((container for container in statuses if crash_of(container) is not None), None)
