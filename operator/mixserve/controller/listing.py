"""Full lists of all watched resources: before the watches start, and from time to time to find what they missed.

kopf does not tell of objects that were deleted while a watch was interrupted; a list does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from mixserve.api.names import API_VERSION
from mixserve.apply.errors import ApiError, NotFound
from mixserve.controller.cluster_view import LABELLED, MANAGED, WATCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import WorkKey

_log = structlog.get_logger(__name__)

# Until the watches have begun, each with a list of its own: what was deleted between that and our first list, no watch
# tells of.
_WATCHES_BEGIN_S = 10.0
# Between two tries while the API server does not answer or the kinds are not installed.
_PAUSE_S = 2.0


class Lister:
    """Lists everything into the caches.

    Args:
        connection: to the API server.
        view: takes the lists.
        namespaces: where to look; empty for everywhere.
        enqueue: is asked for each pool and gateway that something was news about.
        resources: what is listed.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        view: ClusterView,
        namespaces: tuple[str, ...],
        enqueue: Callable[[WorkKey], None],
        resources: Sequence[Resource] = WATCHED,
    ) -> None:
        self._connection = connection
        self._view = view
        self._namespaces = namespaces
        self._enqueue = enqueue
        self._resources = resources

    async def first(self) -> None:
        """List until it has worked once, waiting for the API server and for the kinds of Mixserve."""
        while True:
            try:
                await self.list_all()
            except NotFound:
                _log.warning("kinds_missing", api_version=API_VERSION, remedy="install the CRDs of the chart")
            except ApiError as error:
                _log.warning("list_failed", error=str(error))
            else:
                return
            await asyncio.sleep(_PAUSE_S)

    async def repeat(self, interval_s: float) -> None:
        """List when the watches have begun, and then again and again until cancelled."""
        pause_s = min(interval_s, _WATCHES_BEGIN_S)
        while True:
            await asyncio.sleep(pause_s)
            pause_s = interval_s
            try:
                await self.list_all()
            except ApiError as error:  # the watches go on, and so does the next list
                _log.warning("list_failed", error=str(error))

    async def list_all(self) -> None:
        """List everything once.

        Raises:
            ApiError: the API server refused or did not answer.
        """
        for resource in self._resources:
            await self._list(resource)

    async def _list(self, resource: Resource) -> None:
        selector = MANAGED if resource in LABELLED else None
        namespaces = self._namespaces if resource.namespaced and self._namespaces else ("",)
        for namespace in namespaces:
            found = await self._connection.get(resource, namespace=namespace, label_selector=selector)
            version = found["metadata"]["resourceVersion"]
            for key in self._view.take_list(resource, found["items"], namespace=namespace, version=version):
                self._enqueue(key)
