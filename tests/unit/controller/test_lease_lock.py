from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord

from mixserve.apply.errors import Conflict, NotFound, Unavailable
from mixserve.controller.lease_lock import LeaseLock
from support.recording_connection import RecordingConnection

HELD = {
    "metadata": {"resourceVersion": "7"},
    "spec": {
        "holderIdentity": "other",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.000000Z",
        "leaseTransitions": 2,
    },
}


def lock(connection: RecordingConnection) -> LeaseLock:
    return LeaseLock(connection, namespace="ns", name="lease", identity="me", call_limit_s=0.05)


def record(holder: str = "me") -> LeaderElectionRecord:
    # The library writes times of its own, which nobody reads.
    return LeaderElectionRecord(holder, "15", "now", "now")


async def test_a_held_lease_has_a_record() -> None:
    found, seen = await lock(RecordingConnection(get=HELD)).get("lease", "ns")
    assert found
    assert seen.__dict__ == {
        "holder_identity": "other",
        "lease_duration": "15",
        "acquire_time": "2026-01-01T00:00:00.000000Z",
        "renew_time": "2026-01-01T00:00:05.000000Z",
    }


async def test_a_released_lease_has_no_holder() -> None:
    _, seen = await lock(RecordingConnection(get={**HELD, "spec": {**HELD["spec"], "holderIdentity": ""}})).get(
        "l", "n"
    )
    assert isinstance(seen, LeaderElectionRecord)
    assert seen.holder_identity is None


async def test_a_lease_that_does_not_exist_may_be_created() -> None:
    found, error = await lock(RecordingConnection(get=NotFound("no", status=404))).get("lease", "ns")
    assert not found
    assert json.loads(error.body)["code"] == 404


async def test_a_server_that_does_not_answer_is_no_reason_to_create_one() -> None:
    found, error = await lock(RecordingConnection(get=Unavailable("no answer"))).get("lease", "ns")
    assert not found
    assert json.loads(error.body)["code"] is None


async def test_a_call_that_hangs_ends_in_time() -> None:
    class Hanging(RecordingConnection):
        async def get(self, *_: Any, **__: Any) -> Any:
            await asyncio.sleep(10)

    hanging = lock(Hanging())
    async with asyncio.timeout(2):
        found, _ = await hanging.get("lease", "ns")
    assert not found
    assert not hanging.answered


async def test_a_new_lease_is_ours() -> None:
    connection = RecordingConnection(create=HELD)
    assert await lock(connection).create("lease", "ns", record())
    spec = connection.calls[0][1]["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("me", 15, 0)
    assert spec["renewTime"] == spec["acquireTime"]
    assert spec["renewTime"].endswith("Z")


async def test_taking_over_is_a_transition() -> None:
    connection = RecordingConnection(get=HELD, patch=HELD)
    candidate = lock(connection)
    await candidate.get("lease", "ns")
    assert candidate.answered
    assert await candidate.update("lease", "ns", record())
    version, spec = connection.calls[1][1][1]
    assert version == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    assert spec["value"]["leaseTransitions"] == 3
    assert spec["value"]["acquireTime"] == spec["value"]["renewTime"]


async def test_renewing_is_none() -> None:
    connection = RecordingConnection(get=HELD, patch=HELD)
    holder = lock(connection)
    await holder.get("lease", "ns")
    await holder.update("lease", "ns", record("other"))
    spec = connection.calls[1][1][1][1]["value"]
    assert spec["leaseTransitions"] == 2
    assert spec["acquireTime"] == HELD["spec"]["acquireTime"]
    assert spec["renewTime"] > HELD["spec"]["renewTime"]


@pytest.mark.parametrize("error", [Conflict("changed", status=409), Unavailable("no answer")])
async def test_a_lease_that_cannot_be_written_is_not_ours(error: Exception) -> None:
    connection = RecordingConnection(get=HELD, patch=error, create=error)
    candidate = lock(connection)
    await candidate.get("lease", "ns")
    assert not await candidate.update("lease", "ns", record())
    assert not await candidate.create("lease", "ns", record())
    assert not await candidate.release()


async def test_only_our_own_lease_is_released() -> None:
    connection = RecordingConnection(patch=HELD)
    assert await lock(connection).release()
    assert connection.calls[0][1][1] == [
        {"op": "test", "path": "/spec/holderIdentity", "value": "me"},
        {"op": "replace", "path": "/spec/holderIdentity", "value": ""},
    ]
