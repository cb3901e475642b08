from __future__ import annotations

import pytest

from mixserve.apply.errors import Conflict, Rejected
from mixserve.apply.scale import write_replicas
from support.recording_connection import RecordingConnection


async def write(connection: RecordingConnection, seen: int, wanted: int) -> None:
    await write_replicas(connection, namespace="ns", deployment="d", seen=seen, wanted=wanted, version="7")


async def test_replicas_are_written_only_if_they_are_as_seen() -> None:
    connection = RecordingConnection()
    await write(connection, 2, 5)
    where = {"resource": "deployments", "namespace": "ns", "name": "d", "subresource": "scale"}
    patch = [
        {"op": "test", "path": "/spec/replicas", "value": 2},
        {"op": "add", "path": "/spec/replicas", "value": 5},
    ]
    assert connection.calls == [("patch", (where, patch))]


async def test_a_deployment_shrinks_only_if_it_has_not_changed_at_all() -> None:
    connection = RecordingConnection()
    await write(connection, 5, 2)
    [(_, (_, patch))] = connection.calls
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    assert patch[2]["value"] == 2


async def test_zero_replicas_are_not_in_the_object() -> None:
    connection = RecordingConnection()
    await write(connection, 0, 1)
    assert connection.calls[0][1][1][0]["value"] is None


async def test_other_replicas_than_seen_are_a_conflict() -> None:
    with pytest.raises(Conflict, match="d no longer has 2 replicas"):
        await write(RecordingConnection(patch=Rejected("test failed", status=422)), 2, 5)


async def test_other_refusals_are_passed_on() -> None:
    with pytest.raises(Rejected) as caught:
        await write(RecordingConnection(patch=Rejected("bad", status=400)), 2, 5)
    assert not isinstance(caught.value, Conflict)
