"""A pool's objects are as planned, whoever deletes or edits them, and nobody else's are touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import LABEL_ROUTABLE
from support.pool_manifests import pool, variant
from support.pool_questions import APPLIED, condition, find, get, wait_for_condition
from support.waiting import eventually

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration

ENGINE = ("spec", "template", "spec", "containers", 0)
HOME = {"name": "EXTRA", "value": "1"}


def at(obj: dict[str, Any], *path: str | int) -> Any:
    for step in path:
        obj = obj[step]  # type: ignore[index]
    return obj


def edit(sandbox: PoolSandbox, kind: str, name: str, patch: dict[str, Any] | list[dict[str, Any]]) -> None:
    form = "json" if isinstance(patch, list) else "merge"
    sandbox.kubectl("patch", kind, name, f"--type={form}", "--patch", json.dumps(patch))


@pytest.fixture
def chat(sandbox: PoolSandbox) -> PoolSandbox:
    """A pool called chat that is ready."""
    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")
    return sandbox


def test_a_pool_owns_what_it_consists_of(chat: PoolSandbox) -> None:
    owner = chat.pool("chat")["metadata"]
    owned = chat.items(APPLIED, pool="chat")
    assert sorted((each["kind"], each["metadata"]["name"]) for each in owned) == [
        ("Deployment", "chat-main"),
        ("PodDisruptionBudget", "chat-main"),
        ("Service", "chat"),
        ("ServiceAccount", "chat"),
    ]
    for each in owned:
        [reference] = each["metadata"]["ownerReferences"]
        assert (reference["kind"], reference["name"], reference["uid"]) == (
            "LLMServingPool",
            "chat",
            owner["uid"],
        )
    selector = at(get(chat, "service", "chat"), "spec", "selector")
    [replica] = chat.items("pods", pool="chat")
    assert selector.items() <= replica["metadata"]["labels"].items()
    assert selector[LABEL_ROUTABLE] == "true"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("deployment", "chat-main"),
        ("service", "chat"),
        ("serviceaccount", "chat"),
        ("poddisruptionbudget", "chat-main"),
    ],
)
def test_what_is_deleted_comes_back(chat: PoolSandbox, kind: str, name: str) -> None:
    before = get(chat, kind, name)["metadata"]["uid"]
    chat.kubectl("delete", kind, name)
    eventually(lambda: find(chat, kind, name).get("metadata", {}).get("uid", before) != before, f"a new {kind}", 10.0)
    chat.wait_until_ready("chat")
    eventually(lambda: "had been deleted" in repairs(chat), "an event")


def repairs(sandbox: PoolSandbox) -> str:
    return sandbox.kubectl("events", "--for=llmservingpool/chat", "--types=Normal", "--no-headers")


@pytest.mark.parametrize(
    ("kind", "name", "patch", "path"),
    [
        ("service", "chat", {"spec": {"selector": {LABEL_ROUTABLE: "no"}}}, ("spec", "selector", LABEL_ROUTABLE)),
        ("service", "chat", {"metadata": {"labels": None}}, ("metadata", "labels")),
        ("poddisruptionbudget", "chat-main", {"spec": {"maxUnavailable": 5}}, ("spec", "maxUnavailable")),
        ("serviceaccount", "chat", {"automountServiceAccountToken": True}, ("automountServiceAccountToken",)),
        ("deployment", "chat-main", {"metadata": {"ownerReferences": None}}, ("metadata", "ownerReferences")),
        (
            "deployment",
            "chat-main",
            {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
            ("spec", "strategy"),
        ),
        (
            "deployment",
            "chat-main",
            [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "x"}],
            (*ENGINE, "image"),
        ),
        (
            "deployment",
            "chat-main",
            [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--x"}],
            (*ENGINE, "args"),
        ),
        (
            "deployment",
            "chat-main",
            [{"op": "remove", "path": "/spec/template/spec/containers/0/env"}],
            (*ENGINE, "env"),
        ),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_is_edited_is_restored(
    chat: PoolSandbox, kind: str, name: str, patch: Any, path: tuple[str | int, ...]
) -> None:
    before = at(get(chat, kind, name), *path)
    edit(chat, kind, name, patch)

    def restored() -> bool:
        try:
            return bool(at(get(chat, kind, name), *path) == before)
        except KeyError:
            return False

    eventually(restored, f"the old {path[-1]}", 10.0)
    chat.wait_until_ready("chat")


def test_an_object_that_had_lost_its_label_is_looked_after_as_before(chat: PoolSandbox) -> None:
    """Whoever watches by a label is told of a deletion when the label goes."""
    edit(chat, "deployment", "chat-main", {"metadata": {"labels": None}})
    eventually(lambda: at(get(chat, "deployment", "chat-main"), "metadata").get("labels"), "the labels", 10.0)
    chat.kubectl("scale", "deployment", "chat-main", "--replicas=0")
    eventually(lambda: at(get(chat, "deployment", "chat-main"), "spec", "replicas") == 1, "one replica", 30.0)


def test_a_variant_that_is_replaced_stays_until_the_new_one_serves(chat: PoolSandbox) -> None:
    chat.apply([pool("chat", variant("new", accelerator="a100-80gb"))])
    wait_for_condition(chat, "chat", "WorkloadReady", status="False", reason="Unschedulable")
    assert find(chat, "deployment", "chat-main")
    chat.apply([pool("chat", variant("new"))])
    eventually(lambda: not find(chat, "deployment", "chat-main"), "the end of the old variant")
    assert condition(chat, "chat", "Ready")["status"] == "True"


def test_replicas_survive_a_repair(chat: PoolSandbox) -> None:
    chat.apply([pool("chat", variant(least=3))])
    eventually(lambda: at(get(chat, "deployment", "chat-main"), "spec", "replicas") == 3, "three replicas")
    edit(chat, "deployment", "chat-main", {"spec": {"revisionHistoryLimit": 7}})
    eventually(lambda: at(get(chat, "deployment", "chat-main"), "spec", "revisionHistoryLimit") != 7, "a repair")
    assert at(get(chat, "deployment", "chat-main"), "spec", "replicas") == 3


def test_replicas_scaled_below_the_minimum_are_corrected(chat: PoolSandbox) -> None:
    chat.kubectl("scale", "deployment", "chat-main", "--replicas=0")
    eventually(lambda: at(get(chat, "deployment", "chat-main"), "spec", "replicas") == 1, "one replica", 10.0)


def test_what_the_spec_no_longer_says_goes_away(sandbox: PoolSandbox) -> None:
    token = {"tokenSecretRef": {"name": "hub", "key": "token"}}
    sandbox.kubectl("create", "secret", "generic", "hub", "--from-literal=token=made-up")
    sandbox.apply([pool(model=token)])
    sandbox.wait_until_ready("chat")
    assert "HF_TOKEN" in names_of_variables(sandbox)
    sandbox.apply([pool(engine={"kvCache": {"memoryUtilizationPercent": 80}})])
    eventually(lambda: "HF_TOKEN" not in names_of_variables(sandbox), "a Deployment without the token", 10.0)
    assert condition(sandbox, "chat", "NoForeignChanges")["status"] == "True"


def names_of_variables(sandbox: PoolSandbox) -> list[str]:
    return [one["name"] for one in at(get(sandbox, "deployment", "chat-main"), *ENGINE, "env")]


def test_a_variant_that_is_taken_out_takes_its_deployment_along(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool("chat", variant("one"), variant("two"))])
    sandbox.wait_until_ready("chat")
    sandbox.apply([pool("chat", variant("two"))])

    def left() -> set[str]:
        return {each["metadata"]["name"] for each in sandbox.items("deployments,poddisruptionbudgets", pool="chat")}

    eventually(lambda: left() == {"chat-two"}, "the end of variant one")
    assert [each["name"] for each in sandbox.pool("chat")["status"]["variants"]] == ["two"]


@pytest.mark.parametrize(
    ("patch", "undo", "path"),
    [
        (
            [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "spy", "image": "spy"}}],
            [{"op": "remove", "path": "/spec/template/spec/containers/1"}],
            "spec.template.spec.containers[name=spy]",
        ),
        (
            [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": HOME}],
            None,
            "spec.template.spec.containers[name=engine].env[name=EXTRA]",
        ),
        ({"spec": {"paused": True}}, {"spec": {"paused": None}}, "spec.paused"),
    ],
    ids=["sidecar", "variable", "paused"],
)
def test_what_somebody_adds_is_reported_and_left(chat: PoolSandbox, patch: Any, undo: Any, path: str) -> None:
    edit(chat, "deployment", "chat-main", patch)
    found = wait_for_condition(chat, "chat", "NoForeignChanges", status="False", reason="ForeignFields")
    assert f"Deployment/chat-main: {path}" in found["message"]
    if undo is not None:
        edit(chat, "deployment", "chat-main", undo)
        wait_for_condition(chat, "chat", "NoForeignChanges", status="True", reason="AsApplied")


def test_a_name_that_is_taken_is_reported_and_its_owner_left_alone(sandbox: PoolSandbox) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat"},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    sandbox.apply([theirs])
    sandbox.apply([pool()])
    found = wait_for_condition(sandbox, "chat", "WorkloadReady", status="False", reason="ApplyFailed")
    assert "exists and does not belong to this pool" in found["message"]
    assert at(get(sandbox, "service", "chat"), "spec", "selector") == {"app": "theirs"}
    sandbox.kubectl("delete", "service", "chat")
    sandbox.wait_until_ready("chat")


def test_objects_that_an_orphaning_deletion_left_are_adopted(chat: PoolSandbox) -> None:
    before = get(chat, "deployment", "chat-main")["metadata"]["uid"]
    chat.kubectl("delete", "lsp", "chat", "--cascade=orphan")
    eventually(lambda: not find(chat, "lsp", "chat"), "the end of the pool")
    chat.apply([pool()])
    chat.wait_until_ready("chat")
    adopted = get(chat, "deployment", "chat-main")["metadata"]
    assert adopted["uid"] == before
    assert [each["uid"] for each in adopted["ownerReferences"]] == [chat.pool("chat")["metadata"]["uid"]]


def test_a_pool_that_is_made_anew_at_once_comes_up(chat: PoolSandbox) -> None:
    chat.kubectl("delete", "lsp", "chat")
    chat.apply([pool()])
    chat.wait_until_ready("chat")


def test_a_deleted_pool_leaves_nothing(chat: PoolSandbox) -> None:
    chat.delete_pool("chat")
