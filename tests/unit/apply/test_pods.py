from __future__ import annotations

from mixserve.api.names import ANNOTATION_DELETION_COST, ANNOTATION_DRAINING_SINCE, LABEL_ROUTABLE
from mixserve.apply.pods import give_back_to_routing, take_from_routing
from support.recording_connection import RecordingConnection


async def test_a_pod_that_drains_loses_its_label_and_goes_first() -> None:
    connection = RecordingConnection()
    await take_from_routing(connection, namespace="ns", name="p", uid="u", now_s=12.3456)
    where, body = connection.calls[0][1]
    assert where == {"resource": "pods", "namespace": "ns", "name": "p"}
    metadata = body["metadata"]
    assert metadata["uid"] == "u"
    assert metadata["labels"] == {LABEL_ROUTABLE: None}
    assert metadata["annotations"][ANNOTATION_DRAINING_SINCE] == "12.346"
    assert int(metadata["annotations"][ANNOTATION_DELETION_COST]) < 0


async def test_a_pod_that_serves_again_is_as_before() -> None:
    connection = RecordingConnection()
    await give_back_to_routing(connection, namespace="ns", name="p", uid="u")
    metadata = connection.calls[0][1][1]["metadata"]
    assert metadata["labels"] == {LABEL_ROUTABLE: "true"}
    assert metadata["annotations"] == {ANNOTATION_DRAINING_SINCE: None, ANNOTATION_DELETION_COST: None}
