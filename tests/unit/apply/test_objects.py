from __future__ import annotations

import copy
from typing import Any

import pytest

from mixserve.api.names import ANNOTATION_DESIRED_HASH, LABEL_POOL
from mixserve.apply.errors import Conflict, NotFound, NotOwned, Rejected
from mixserve.apply.objects import ObjectWriter, Outcome, applied_instead_of_created
from support.recording_connection import RecordingConnection

OWNER = {"apiVersion": "mixserve.dev/v1alpha1", "kind": "LLMServingPool", "name": "p", "uid": "pool-1"}
DESIRED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "p-v", "namespace": "ns", "labels": {LABEL_POOL: "p"}, "ownerReferences": [OWNER]},
    "spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "a"}]}}},
}
CREATED_BY_US = {
    "manager": "mixserve",
    "operation": "Update",
    "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}},
}


def live(*, managed: list[dict[str, Any]] | None = None, version: str = "1", **metadata: Any) -> dict[str, Any]:
    obj = copy.deepcopy(DESIRED)
    obj["metadata"] |= {"uid": "u", "resourceVersion": version, "managedFields": managed or [], **metadata}
    obj["spec"]["replicas"] = 4
    return obj


def edited(**changes: Any) -> dict[str, Any]:
    obj = live(**changes)
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "b"
    return obj


async def bring(
    connection: RecordingConnection,
    seen: dict[str, Any] | None,
    writer: ObjectWriter | None = None,
    desired: dict[str, Any] = DESIRED,
) -> Outcome:
    outcome, _ = await (writer or ObjectWriter(connection)).bring(desired, live=seen, desired_hash="h", replicas=2)
    return outcome


async def test_a_new_deployment_is_posted_with_its_replicas() -> None:
    connection = RecordingConnection(create=live())
    assert await bring(connection, None) is Outcome.CREATED
    assert connection.calls == [("create", {**DESIRED, "spec": {**DESIRED["spec"], "replicas": 2}})]
    assert "replicas" not in DESIRED["spec"]


async def test_what_is_as_desired_costs_no_call() -> None:
    connection = RecordingConnection()
    assert await bring(connection, live()) is Outcome.UNCHANGED
    assert connection.calls == []


async def test_a_version_that_was_found_right_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = RecordingConnection()
    writer = ObjectWriter(connection)
    await bring(connection, live(), writer)
    monkeypatch.setattr("mixserve.apply.objects.first_difference", lambda *_: pytest.fail("compared again"))
    assert await bring(connection, live(), writer) is Outcome.UNCHANGED
    writer.forget("u")
    with pytest.raises(pytest.fail.Exception):
        await bring(connection, live(), writer)


async def test_an_edit_is_repaired_by_an_apply_without_replicas() -> None:
    connection = RecordingConnection(apply=live(version="2"))
    assert await bring(connection, edited()) is Outcome.APPLIED
    assert connection.calls == [("apply", DESIRED)]


async def test_a_change_of_what_was_right_is_called_a_repair() -> None:
    connection = RecordingConnection(apply=live(version="2"))
    assert await bring(connection, edited(annotations={ANNOTATION_DESIRED_HASH: "h"})) is Outcome.REPAIRED
    assert connection.verbs == ["apply"]


async def test_before_the_first_apply_ownership_by_creation_is_turned() -> None:
    connection = RecordingConnection(apply=live(version="2"))
    await bring(connection, edited(managed=[CREATED_BY_US]))
    assert connection.verbs == ["patch", "apply"]
    where, patch = connection.calls[0][1]
    assert where == {"resource": "deployments", "namespace": "ns", "name": "p-v"}
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}


async def test_a_name_that_is_taken_by_ourselves_is_looked_at() -> None:
    connection = RecordingConnection(create=Conflict("exists", status=409), get=live())
    assert await bring(connection, None) is Outcome.UNCHANGED
    assert connection.verbs == ["create", "get"]


DELETE_IT = "delete it, or give the pool another name"
LEAVE_IT = "it is the pool other's; give this one or its variant another name"


@pytest.mark.parametrize(
    ("metadata", "remedy"),
    [
        ({"ownerReferences": [{"kind": "Deployment", "name": "x", "uid": "x"}]}, DELETE_IT),
        ({"ownerReferences": [{"kind": "LLMServingPool", "name": "other", "uid": "x"}]}, LEAVE_IT),
        ({"ownerReferences": [], "labels": {}}, DELETE_IT),
        ({"ownerReferences": [], "labels": {LABEL_POOL: "other"}}, LEAVE_IT),
    ],
)
async def test_what_belongs_to_somebody_else_is_not_touched(metadata: dict[str, Any], remedy: str) -> None:
    connection = RecordingConnection(create=Conflict("exists", status=409), get=live(**metadata))
    with pytest.raises(NotOwned, match=f"Deployment ns/p-v exists and does not belong to this pool: {remedy}"):
        await bring(connection, None)
    assert connection.verbs == ["create", "get"]


async def test_what_an_earlier_pool_of_the_name_left_is_waited_for() -> None:
    earlier = live(ownerReferences=[{**OWNER, "uid": "pool-0"}])
    with pytest.raises(Conflict, match="of the deleted pool"):
        await bring(RecordingConnection(), earlier)


async def test_what_an_earlier_pool_left_may_go_before_it_is_looked_at() -> None:
    connection = RecordingConnection(create=Conflict("exists", status=409), get=NotFound("no", status=404))
    with pytest.raises(Conflict, match="was there and is gone"):
        await bring(connection, None)


async def test_what_an_orphaning_deletion_left_is_adopted() -> None:
    connection = RecordingConnection(apply=live())
    assert await bring(connection, live(ownerReferences=[])) is Outcome.APPLIED


async def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(Rejected):
        await bring(RecordingConnection(create=Rejected("no", status=422)), None)


async def test_an_object_is_removed_by_its_uid() -> None:
    connection = RecordingConnection()
    await ObjectWriter(connection).remove(live())
    where = {"resource": "deployments", "namespace": "ns", "name": "p-v", "uid": "u"}
    assert connection.calls == [("delete", where)]


APPLIED_BY_US = {"manager": "mixserve", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}}
SCALED = {
    "manager": "mixserve",
    "operation": "Update",
    "subresource": "scale",
    "fieldsV1": {"f:spec": {"f:replicas": {}}},
}
OTHER = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}


def test_all_but_replicas_becomes_applied() -> None:
    replicas = {**CREATED_BY_US, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    assert applied_instead_of_created([CREATED_BY_US, OTHER]) == [OTHER, APPLIED_BY_US, replicas]


def test_an_object_without_replicas_becomes_applied_as_a_whole() -> None:
    created = {**CREATED_BY_US, "fieldsV1": {"f:spec": {"f:ports": {}}}}
    assert applied_instead_of_created([created]) == [{**created, "operation": "Apply"}]


@pytest.mark.parametrize("entries", [[], [OTHER], [APPLIED_BY_US, SCALED], [APPLIED_BY_US, CREATED_BY_US], [SCALED]])
def test_nothing_is_turned_twice(entries: list[dict[str, Any]]) -> None:
    assert applied_instead_of_created(entries) is None
