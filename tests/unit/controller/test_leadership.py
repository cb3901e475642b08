from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mixserve.apply.errors import Conflict, NotFound, Unavailable
from mixserve.controller.leadership import Leadership, LeadershipLostError
from mixserve.controller.settings import Settings


class Cluster:
    """Holds one Lease, as the API server would; does not answer while `down`."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = False

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        self._answer()
        if self.lease is None:
            raise NotFound("no lease", status=404)
        return self._shown()

    async def create(self, _: Any, body: dict[str, Any], **__: Any) -> dict[str, Any]:
        self._answer()
        if self.lease is not None:
            raise Conflict("exists", status=409)
        return self._store(body["spec"])

    async def patch(self, _: Any, patch: list[dict[str, Any]], **__: Any) -> dict[str, Any]:
        self._answer()
        assert self.lease is not None
        if patch[0]["op"] == "test":
            assert self.lease["holderIdentity"] == patch[0]["value"]
            return self._store({**self.lease, "holderIdentity": patch[1]["value"]})
        if patch[0]["value"] != str(self.version):
            raise Conflict("changed", status=409)
        return self._store(patch[1]["value"])

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("no answer")

    def _store(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.lease = dict(spec)
        self.version += 1
        return self._shown()

    def _shown(self) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": str(self.version)}, "spec": dict(self.lease or {})}


def candidate(cluster: Cluster, identity: str) -> Leadership:
    return Leadership(cluster, Settings(identity=identity, lease_duration_s=3))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def acquired(leadership: Leadership, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await leadership.acquired.wait()
    except TimeoutError:
        return False
    return True


async def test_one_leads_and_the_other_stands_by(cluster: Cluster) -> None:
    first, second = candidate(cluster, "first"), candidate(cluster, "second")
    one = asyncio.create_task(first.keep())
    assert await acquired(first, 2)
    two = asyncio.create_task(second.keep())
    assert not await acquired(second, 0.2)
    assert (first.stands_by, second.stands_by) == (False, True)
    one.cancel()
    two.cancel()
    await asyncio.wait({one, two})


async def test_a_released_lease_goes_to_the_next_at_once(cluster: Cluster) -> None:
    first, second = candidate(cluster, "first"), candidate(cluster, "second")
    one = asyncio.create_task(first.keep())
    assert await acquired(first, 2)
    two = asyncio.create_task(second.keep())
    one.cancel()
    await asyncio.wait({one})
    await first.release()
    assert not first.acquired.is_set()
    # The Lease would hold 3 s; the other looks every second.
    assert await acquired(second, 2)
    assert cluster.lease is not None
    assert (cluster.lease["holderIdentity"], cluster.lease["leaseTransitions"]) == ("second", 1)
    two.cancel()
    await asyncio.wait({two})


async def test_the_same_identity_need_not_wait(cluster: Cluster) -> None:
    first, again = candidate(cluster, "pod"), candidate(cluster, "pod")
    one = asyncio.create_task(first.keep())
    assert await acquired(first, 2)
    one.cancel()
    await asyncio.wait({one})
    two = asyncio.create_task(again.keep())
    assert await acquired(again, 0.5)
    two.cancel()
    await asyncio.wait({two})


async def test_who_can_not_renew_leads_no_more(cluster: Cluster) -> None:
    leadership = candidate(cluster, "first")
    task = asyncio.create_task(leadership.keep())
    assert await acquired(leadership, 2)
    cluster.down = True
    with pytest.raises(LeadershipLostError, match="mixserve-system/mixserve-operator was not renewed"):
        async with asyncio.timeout(10):
            await task


async def test_who_never_led_has_nothing_to_release(cluster: Cluster) -> None:
    await candidate(cluster, "first").release()
    assert cluster.lease is None
