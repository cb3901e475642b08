"""A copy of all objects of a resource, kept up to date: a list, and a watch from there on.

kopf watches the operator's kinds and what belongs to pools. This is for what the operator may not be allowed to read,
which it has to find out, for what is too large to be kept as it is, and for the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

import structlog

from mixserve.api.cluster_observation import Unseen, UnseenReason
from mixserve.apply.errors import ApiError, Expired, Forbidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# A page of pods has 5 MB, which take 50 ms to read.
_PAGE = 500
# Rights are given by people, who then look whether it has helped.
FORBIDDEN_PAUSE_S = 60.0
# One failure is no news.
_FAILURES_IN_A_ROW = 3
# A watch that ends as soon as it has begun must not become a storm of requests.
_BETWEEN_WATCHES_S = 1.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class _Scope(TypedDict):
    namespace: str
    field_selector: str | None
    label_selector: str | None


class Feed(Generic[T]):
    """Keeps what is of interest of each object, over all namespaces or in one.

    Args:
        connection: to the API server.
        resource: of the objects.
        trim: takes an object and returns what is of interest of it, or None for nothing.
        changed: called when that is another one.
        namespace: whose objects; empty: those of all namespaces.
        field_selector: which objects, by fields.
        label_selector: which objects, by labels.

    Attributes:
        seen: all of it, or why there is nothing. What was seen stays while the API server does not answer.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        *,
        trim: Callable[[Mapping[str, Any]], T | None],
        changed: Callable[[], None],
        namespace: str = "",
        field_selector: str | None = None,
        label_selector: str | None = None,
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._trim = trim
        self._changed = changed
        self._scope = _Scope(namespace=namespace, field_selector=field_selector, label_selector=label_selector)
        self._kept: dict[str, T] = {}
        self._failures = 0
        self._unseen: Unseen | None = Unseen(UnseenReason.NOT_LISTED)
        self._turned_s = time.monotonic()

    @property
    def seen(self) -> tuple[T, ...] | Unseen:
        """All of it, or why there is nothing."""
        return tuple(self._kept.values()) if self._unseen is None else self._unseen

    @property
    def silent_for_s(self) -> float:
        """Seconds since it last asked the API server for something, with whatever success: up to some five minutes."""
        return time.monotonic() - self._turned_s

    async def run(self) -> None:
        """Keep it up to date until cancelled."""
        while True:
            self._turned_s = time.monotonic()
            try:
                version = await self._list()
                while True:
                    self._turned_s = time.monotonic()
                    version = await self._follow(version)
                    self._failures = 0
                    await asyncio.sleep(_BETWEEN_WATCHES_S)
            except Expired:
                await asyncio.sleep(_BETWEEN_WATCHES_S)
            except Forbidden as error:
                self._lose(Unseen(UnseenReason.FORBIDDEN, str(error)))
                await asyncio.sleep(FORBIDDEN_PAUSE_S)
            except ApiError as error:
                pause_s = self._pause_s(error)
                if self._unseen is not None and self._failures >= _FAILURES_IN_A_ROW:
                    self._lose(Unseen(UnseenReason.UNAVAILABLE, str(error)))
                await asyncio.sleep(pause_s)
            except Exception:  # noqa: BLE001 - an object on which this stumbles must not stop what serves
                _log.exception("feed_stumbled", resource=self._resource.plural)
                await asyncio.sleep(_LONGEST_PAUSE_S)

    def _pause_s(self, error: ApiError) -> float:
        self._failures += 1
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 30))
        _log.info("feed_repeated", resource=self._resource.plural, pause_s=pause_s, error=str(error))
        return pause_s

    async def _list(self) -> str:
        """Read everything; return the version from which a watch may go on."""
        found, token = dict[str, T](), None
        while True:
            page = await self._connection.list_page(self._resource, limit=_PAGE, token=token, **self._scope)
            for obj in page["items"]:
                kept = self._trim(obj)
                if kept is not None:
                    found[obj["metadata"]["uid"]] = kept
            token = page["metadata"].get("continue")
            if not token:
                break
        news = self._unseen is not None or found != self._kept
        self._kept, self._unseen = found, None
        if news:
            self._changed()
        return str(page["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> str:
        """Take what a watch tells until it ends; return the version up to which that was."""
        watch = self._connection.watch(self._resource, version=version, **self._scope)
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                # Not earlier: where lists work and watches do not, all pods of a cluster would be read every second.
                self._failures = 0
                obj = event["object"]
                version = obj["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(obj["metadata"]["uid"], None if event["type"] == "DELETED" else self._trim(obj))
        return version

    def _take(self, uid: str, kept: T | None) -> None:
        if kept == self._kept.get(uid):
            return
        if kept is None:
            del self._kept[uid]
        else:
            self._kept[uid] = kept
        self._changed()

    def _lose(self, unseen: Unseen) -> None:
        """Nothing is known any more."""
        if self._unseen is None or self._unseen.reason is not unseen.reason:
            _log.warning("feed_lost", resource=self._resource.plural, reason=unseen.reason.value, error=unseen.detail)
            self._kept, self._unseen = {}, unseen
            self._changed()
