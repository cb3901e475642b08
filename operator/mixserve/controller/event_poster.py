"""Events are posted behind the back of the workers: they are news, and nothing waits for them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.apply.errors import ApiError, Terminating
from mixserve.apply.events import post_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection
    from mixserve.status.events import Event

_log = structlog.get_logger(__name__)

# Some kilobytes each. When so many wait, the API server is too busy for news that every status has as well.
_MOST_WAITING = 2000


class EventPoster:
    """Posts events about pools and policies, one after the other.

    Args:
        connection: to the API server.
        instance: which operator says so.
    """

    def __init__(self, connection: Connection, *, instance: str) -> None:
        self._connection = connection
        self._instance = instance
        self._waiting: asyncio.Queue[tuple[Event, Mapping[str, Any], float]] = asyncio.Queue(_MOST_WAITING)

    def put(self, event: Event, about: Mapping[str, Any]) -> None:
        """Have an event posted soon."""
        try:
            self._waiting.put_nowait((event, about, time.time()))
        except asyncio.QueueFull:
            _log.warning(
                "event_lost", object=about["metadata"]["name"], reason=event.reason.value, error="too many wait"
            )

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            event, about, at_s = await self._waiting.get()
            try:
                await post_event(self._connection, event, about=about, instance=self._instance, now_s=at_s)
            except Terminating:  # nobody will look for it
                continue
            except ApiError as error:  # the status says it as well
                _log.warning(
                    "event_lost", object=about["metadata"]["name"], reason=event.reason.value, error=str(error)
                )
