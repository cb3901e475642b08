from __future__ import annotations

from typing import Any

from mixserve.api.names import Reason
from mixserve.apply.events import MAX_NOTE_CHARACTERS, post_event
from mixserve.status.events import Event
from support.recording_connection import RecordingConnection

POOL = {"metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "9"}}


async def posted(message: str) -> dict[str, Any]:
    connection = RecordingConnection()
    event = Event(type="Normal", reason=Reason.SCALE_UP, action="Scale", message=message)
    await post_event(connection, event, about=POOL, instance="me", now_s=1.5)
    body: dict[str, Any] = connection.calls[0][1]
    return body


async def test_an_event_is_about_the_pool() -> None:
    body = await posted("1 -> 2")
    assert body["regarding"] == {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "LLMServingPool",
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "9",
    }
    assert body["eventTime"] == "1970-01-01T00:00:01.500000Z"
    assert (body["reason"], body["action"], body["note"]) == ("ScaleUp", "Scale", "1 -> 2")
    assert body["metadata"]["namespace"] == "ns"


async def test_two_events_have_two_names() -> None:
    assert (await posted("a"))["metadata"]["name"] != (await posted("a"))["metadata"]["name"]


async def test_a_long_note_is_cut() -> None:
    note = (await posted("x" * 5000))["note"]
    assert len(note) == MAX_NOTE_CHARACTERS
    assert note.endswith("…")
