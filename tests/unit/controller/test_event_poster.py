from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import structlog

from mixserve.api.names import Reason
from mixserve.apply.errors import Forbidden, Terminating
from mixserve.controller import event_poster
from mixserve.controller.event_poster import EventPoster
from mixserve.status.events import Event
from support.recording_connection import RecordingConnection
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POOL = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}}


def event(message: str) -> Event:
    return Event(type="Normal", reason=Reason.SCALE_UP, action="Scale", message=message)


async def post(poster: EventPoster, condition: Callable[[], bool]) -> None:
    async with running(poster.run()):
        await until(condition)


async def test_events_are_posted_in_order() -> None:
    connection = RecordingConnection()
    poster = EventPoster(connection, instance="me")
    poster.put(event("first"), POOL)
    poster.put(event("second"), POOL)
    await post(poster, lambda: len(connection.calls) == 2)
    assert [body["note"] for _, body in connection.calls] == ["first", "second"]


async def test_an_event_that_is_refused_does_not_hold_up_the_next() -> None:
    connection = RecordingConnection(create=Forbidden("no", status=403))
    poster = EventPoster(connection, instance="me")
    poster.put(event("first"), POOL)
    poster.put(event("second"), POOL)
    await post(poster, lambda: len(connection.calls) == 2)


async def test_in_a_namespace_that_goes_nobody_misses_an_event(capture: list[dict[str, object]]) -> None:
    connection = RecordingConnection(create=Terminating("going", status=403))
    poster = EventPoster(connection, instance="me")
    poster.put(event("first"), POOL)
    poster.put(event("second"), POOL)
    await post(poster, lambda: len(connection.calls) == 2)
    assert capture == []


@pytest.fixture
def capture() -> Iterator[list[dict[str, object]]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


async def test_when_too_many_wait_news_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_poster, "_MOST_WAITING", 1)
    connection = RecordingConnection()
    poster = EventPoster(connection, instance="me")
    poster.put(event("first"), POOL)
    poster.put(event("dropped"), POOL)
    await post(poster, lambda: bool(connection.calls))
    poster.put(event("third"), POOL)
    await post(poster, lambda: len(connection.calls) == 2)
    assert "dropped" not in json.dumps([body for _, body in connection.calls])
