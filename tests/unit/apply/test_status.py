from __future__ import annotations

import pytest

from mixserve.apply.errors import Conflict, Rejected
from mixserve.apply.resources import POOLS
from mixserve.apply.status import write_status
from support.recording_connection import RecordingConnection


async def write(connection: RecordingConnection) -> None:
    await write_status(connection, POOLS, namespace="ns", name="p", uid="u", status={"ready": 1})


async def test_the_status_is_replaced_as_a_whole_on_the_pool_that_is_meant() -> None:
    connection = RecordingConnection()
    await write(connection)
    where, patch = connection.calls[0][1]
    assert where == {"resource": "llmservingpools", "namespace": "ns", "name": "p", "subresource": "status"}
    assert patch == [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        {"op": "add", "path": "/status", "value": {"ready": 1}},
    ]


async def test_another_pool_of_the_name_is_a_conflict() -> None:
    error = Rejected("the server rejected our request due to an error in our request", status=422)
    with pytest.raises(Conflict):
        await write(RecordingConnection(patch=error))


async def test_a_status_that_the_schema_refuses_is_not_called_a_conflict() -> None:
    with pytest.raises(Rejected) as caught:
        await write(RecordingConnection(patch=Rejected('status.ready: Invalid value: "x"', status=422)))
    assert not isinstance(caught.value, Conflict)
