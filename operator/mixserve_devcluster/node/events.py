"""Events of pods, counted instead of repeated and written in the background."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from mixserve_devcluster.node.api_server import ApiError, ApiServer, NotFoundError
from mixserve_devcluster.node.status import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = structlog.get_logger()

# An event about the same thing raises the count of one of the last so many.
_REMEMBERED = 2000
# Of a pod that stays in trouble, this many events of one reason are written at once, then one in so many seconds;
# the kubelet allows 25 and 300 s per pod.
_BURST = 10
_REFILL_S = 300.0
# More are waiting only when the API server is away; then the oldest news matter least.
_QUEUE_LENGTH = 1000


@dataclass(frozen=True, kw_only=True)
class PodEvent:
    """Something that happened to a pod, or to one of its containers."""

    pod: Mapping[str, Any]
    kind: str
    reason: str
    message: str
    field_path: str
    node: str

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for events that differ in nothing but their time."""
        return (self.pod["metadata"]["uid"], self.field_path, self.kind, self.reason, self.message)


class EventBudget:
    """Lets a burst of events of each subject pass, then a trickle. Pure; times are seconds."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def allows(self, subject: tuple[str, str], now_s: float) -> bool:
        """Whether an event of the subject may be written now; if so, it counts."""
        left, since_s = self._left.pop(subject, (float(_BURST), now_s))
        left = min(_BURST, left + (now_s - since_s) / _REFILL_S)
        allowed = left >= 1
        self._left[subject] = (left - allowed, now_s)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return allowed


class EventRecorder:
    """Takes events at once and writes them when `run` comes to it."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._queue: asyncio.Queue[PodEvent] = asyncio.Queue(_QUEUE_LENGTH)
        self._written: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()
        self._budget = EventBudget()

    def record(self, event: PodEvent) -> None:
        """Take an event; it is dropped if there are too many."""
        subject = (event.pod["metadata"]["uid"], event.reason)
        if self._budget.allows(subject, asyncio.get_running_loop().time()) and not self._queue.full():
            self._queue.put_nowait(event)

    async def run(self) -> None:
        """Write events, without end."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except ApiError as error:  # an event is news, not state: it is not worth a second try
                _log.warning("event_write_failed", reason=event.reason, error=str(error))

    async def _write(self, event: PodEvent) -> None:
        collection = f"/api/v1/namespaces/{event.pod['metadata']['namespace']}/events"
        now = timestamp(datetime.now(UTC))
        if earlier := self._written.pop(event.key, None):
            name, count = earlier["metadata"]["name"], earlier["count"] + 1
            try:
                written = await self._api.patch(f"{collection}/{name}", {"count": count, "lastTimestamp": now})
            except NotFoundError:  # expired
                written = await self._api.create(collection, _manifest(event, now))
        else:
            written = await self._api.create(collection, _manifest(event, now))
        self._written[event.key] = {"metadata": {"name": written["metadata"]["name"]}, "count": written["count"]}
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)


def _manifest(event: PodEvent, now: str) -> dict[str, Any]:
    metadata = event.pod["metadata"]
    subject = {"apiVersion": "v1", "kind": "Pod", **{key: metadata[key] for key in ("name", "namespace", "uid")}}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "involvedObject": subject | ({"fieldPath": event.field_path} if event.field_path else {}),
        "type": event.kind,
        "reason": event.reason,
        "message": event.message[:1024],  # the API's limit
        "source": {"component": "kubelet", "host": event.node},
        "reportingComponent": "kubelet",
        "reportingInstance": event.node,
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
    }
