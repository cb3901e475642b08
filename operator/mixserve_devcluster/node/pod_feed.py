"""The pods that are bound to nodes, as they come, change and go: one list and one watch for all nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from mixserve_devcluster.node.api_server import ApiError, ApiServer, GoneError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger()

_PATH = "/api/v1/pods"
_BOUND = "spec.nodeName!="
# After a failure of the list or the watch.
_RETRY_S = 1.0


class PodListener(Protocol):
    """Learns of every pod that is bound to some node."""

    def take(self, pod: dict[str, Any]) -> None:
        """A pod is new or has changed."""
        ...

    def lose(self, uid: str) -> None:
        """A pod is gone."""
        ...


class PodFeed:
    """Tells a listener about pods, again and again from the start where the watch has lost its place."""

    def __init__(self, api: ApiServer, listener: PodListener) -> None:
        self._api = api
        self._listener = listener
        self._known: set[str] = set()

    async def run(self, on_synced: Callable[[], None]) -> None:
        """Follow the pods, without end; `on_synced` is called once, when the first list has been told."""
        is_synced = False
        while True:
            try:
                version = await self._list()
                if not is_synced:
                    is_synced = True
                    on_synced()
                while True:
                    version = await self._watch(version)
            except GoneError:
                _log.info("pod_watch_restarted")
            except ApiError as error:
                _log.warning("pod_watch_failed", error=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _list(self) -> str:
        content = await self._api.get(_PATH, fieldSelector=_BOUND)
        pods = content["items"]
        for uid in self._known - {pod["metadata"]["uid"] for pod in pods}:
            self._lose(uid)
        for pod in pods:
            self._take(pod)
        return str(content["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> str:
        """Follow the changes since a resource version until the server ends the watch; the last version seen."""
        async for event in self._api.watch(_PATH, fieldSelector=_BOUND, resourceVersion=version):
            pod = event["object"]
            version = pod["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self._lose(pod["metadata"]["uid"])
            elif event["type"] != "BOOKMARK":
                self._take(pod)
        return version

    def _take(self, pod: dict[str, Any]) -> None:
        self._known.add(pod["metadata"]["uid"])
        self._listener.take(pod)

    def _lose(self, uid: str) -> None:
        self._known.discard(uid)
        self._listener.lose(uid)
