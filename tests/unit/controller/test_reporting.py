from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.names import Reason
from mixserve.apply.errors import Conflict, NotFound, Unavailable
from mixserve.apply.resources import POOLS
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.pool_plan import Assessment
from mixserve.controller.reporting import Reporter
from mixserve.status.events import Event
from mixserve.validate.violation import Violation
from support.kube_objects import deployment
from support.recording_connection import RecordingConnection

WRONG = Assessment(
    violations=(Violation(Reason.OWNED_FLAG, "spec.engine.args[0]", "it is owned", "use the field"),),
    advise=lambda _: None,
)


class Desk:
    """A reporter over one pool whose spec is wrong."""

    def __init__(self) -> None:
        self.view, self.events = ClusterView(), list[Event]()
        self.connection = RecordingConnection()
        self.reporter = Reporter(self.connection, view=self.view, events=self)
        self.take(raw())

    def put(self, event: Event, pool: Any) -> None:
        assert pool["metadata"]["name"] == "p"
        self.events.append(event)

    def take(self, pool: dict[str, Any]) -> None:
        self.view.put(POOLS, pool)

    async def report(self, assessment: Assessment = WRONG) -> None:
        pool = self.view.pools.get(PoolKey("ns", "p"))
        assert pool is not None
        # The API server answers with the pool as it is then.
        version = str(int(pool["metadata"]["resourceVersion"]) + 1)
        self.connection.answers["patch"] = {**pool, "metadata": {**pool["metadata"], "resourceVersion": version}}
        await self.reporter.report(key_of(pool), pool, assessment, plan=None, outcome=None, refused=())

    @property
    def written(self) -> list[dict[str, Any]]:
        return [patch[1]["value"] for _, (_, patch) in self.connection.calls]


def raw(**changes: Any) -> dict[str, Any]:
    return {**deployment("p"), "kind": "LLMServingPool", "status": {}, **changes}


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_is_wrong_is_written_and_told(desk: Desk) -> None:
    await desk.report()
    [status] = desk.written
    validated = next(each for each in status["conditions"] if each["type"] == "Validated")
    assert (validated["status"], validated["reason"], validated["observedGeneration"]) == ("False", "OwnedFlag", 3)
    assert [event.reason for event in desk.events] == ["OwnedFlag"]


async def test_what_has_not_changed_is_not_written_again(desk: Desk) -> None:
    await desk.report()
    await desk.report()
    assert len(desk.written) == 1
    assert len(desk.events) == 1


async def test_a_status_of_an_earlier_process_is_read_from_the_cluster(desk: Desk) -> None:
    await desk.report()
    later = Desk()
    later.take(raw(metadata={**raw()["metadata"], "resourceVersion": "7"}, status=desk.written[0]))
    await later.report()
    assert later.written == []


async def test_a_status_that_we_cannot_read_is_replaced(desk: Desk) -> None:
    desk.take(raw(metadata={**raw()["metadata"], "resourceVersion": "7"}, status={"fromTheFuture": 1}))
    await desk.report()
    assert "fromTheFuture" not in desk.written[0]


async def test_what_was_not_written_is_not_told(desk: Desk) -> None:
    pool = raw()
    desk.connection.answers["patch"] = Unavailable("busy")
    with pytest.raises(Unavailable):
        await desk.reporter.report(key_of(pool), pool, WRONG, plan=None, outcome=None, refused=())
    assert desk.events == []


async def test_a_pool_whose_deletion_was_missed_is_gone_from_then_on(desk: Desk) -> None:
    desk.connection.answers["patch"] = NotFound("no such pool", status=404)
    with pytest.raises(Conflict):
        await desk.reporter.report(key_of(raw()), raw(), WRONG, plan=None, outcome=None, refused=())
    assert desk.view.pools.get(PoolKey("ns", "p")) is None


async def test_a_pool_that_is_gone_is_forgotten(desk: Desk) -> None:
    await desk.report()
    desk.reporter.forget("uid-p")
    assert desk.reporter._written == {}
