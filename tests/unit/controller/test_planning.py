from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from mixserve.api.names import ANNOTATION_LAST_VALID_SPEC, LABEL_POOL, Reason
from mixserve.apply.resources import ACCELERATORS, FORMATS, POOLS, SERVICE_ACCOUNTS
from mixserve.catalog.built_in import ACCELERATORS_FOLDER, FORMATS_FOLDER, manifests
from mixserve.controller import planning
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.planning import Assessment, Planner
from mixserve.observe.model_files import ModelConfigReader
from support.pool_manifests import pool as manifest
from support.pool_manifests import variant


def stored(
    body: dict[str, Any], *, version: int = 1, generation: int = 1, created: str = "2026-01-01T00:00:00Z"
) -> Any:
    """A manifest as the API server has it."""
    name = body["metadata"]["name"]
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": created,
    }
    if body["kind"] != "LLMServingPool":
        del metadata["namespace"]
    return {**body, "metadata": metadata}


@pytest.fixture
def view() -> ClusterView:
    """A cluster with the built-in catalogue."""
    view = ClusterView()
    for resource, folder in ((FORMATS, FORMATS_FOLDER), (ACCELERATORS, ACCELERATORS_FOLDER)):
        for text in manifests(folder).values():
            view.put(resource, stored(yaml.safe_load(text)))
    return view


@pytest.fixture
def planner(view: ClusterView) -> Planner:
    return Planner(view, ModelConfigReader())


async def assess(planner: Planner, view: ClusterView, raw: dict[str, Any]) -> Assessment:
    view.put(POOLS, raw)
    return await planner.assess(key_of(raw), raw)


async def test_a_valid_pool_has_a_plan(planner: Planner, view: ClusterView) -> None:
    found = await assess(planner, view, stored(manifest("chat", variant("one"), variant("two", accelerator="l4"))))
    assert found.violations == ()
    assert found.plan is not None
    assert found.plan.deployments == {"one": "chat-one", "two": "chat-two"}
    assert set(found.plan.priors) == {"one", "two"}
    assert set(found.plan.prices) == {"h100-80gb", "l4"}
    assert found.plan.endpoint.path == "/metrics"
    assert [each.kind for each in found.plan.objects].count("Deployment") == 2


async def test_an_invalid_pool_has_none(planner: Planner, view: ClusterView) -> None:
    found = await assess(planner, view, stored(manifest("chat", variant(quantization="int3"))))
    assert found.plan is None
    assert [each.reason for each in found.violations] == [Reason.UNKNOWN_QUANTIZATION]


async def test_a_spec_that_we_cannot_read_says_where(planner: Planner, view: ClusterView) -> None:
    raw = stored(manifest())
    raw["spec"]["fromTheFuture"] = True
    found = await assess(planner, view, raw)
    assert found.plan is None
    [violation] = found.violations
    assert (violation.reason, violation.field_path) == (Reason.INVALID_SPEC, "spec.fromTheFuture")
    assert "CRDs of the operator's own version" in violation.remedy


async def test_what_has_not_changed_is_not_planned_again(
    planner: Planner, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await assess(planner, view, stored(manifest()))
    monkeypatch.setattr(planning, "_assess", lambda *_: pytest.fail("planned again"))
    again = await assess(planner, view, {**stored(manifest(), version=2), "status": {"ready": 1}})
    assert again is first


async def test_an_edit_is_planned_again(planner: Planner, view: ClusterView) -> None:
    await assess(planner, view, stored(manifest()))
    edited = await assess(planner, view, stored(manifest(engine={"maxModelLen": 4096}), version=2, generation=2))
    assert edited.plan is not None
    assert edited.plan.pool.spec.engine.max_model_len == 4096


async def test_a_change_of_the_catalogue_is_planned_again(planner: Planner, view: ClusterView) -> None:
    raw = stored(manifest("chat", variant(quantization="new")))
    assert (await assess(planner, view, raw)).plan is None
    bf16 = yaml.safe_load(manifests(FORMATS_FOLDER)["bf16.yaml"])
    view.put(FORMATS, stored({**bf16, "metadata": {"name": "new"}}))
    assert (await planner.assess(key_of(raw), raw)).plan is not None


async def test_the_plan_in_force_is_recovered_from_the_objects(planner: Planner, view: ClusterView) -> None:
    good = await assess(planner, view, stored(manifest("chat", variant("one"), variant("two", accelerator="l4"))))
    assert good.plan is not None
    account = good.plan.objects[0].body
    metadata = {**account["metadata"], "uid": "uid-account", "resourceVersion": "7"}
    view.put(SERVICE_ACCOUNTS, {**account, "metadata": metadata})
    bad = stored(manifest("chat", variant(quantization="int3")), version=2, generation=2)
    assert (await assess(planner, view, bad)).plan is None
    recovered = await planner.recover(bad)
    assert recovered is not None
    assert recovered.objects == good.plan.objects


def account(**changes: Any) -> dict[str, Any]:
    """The ServiceAccount of chat, which carries the spec."""
    spec = json.dumps(manifest("chat", variant())["spec"])
    metadata = {
        "name": "chat",
        "namespace": "ns",
        "uid": "uid-account",
        "resourceVersion": "7",
        "ownerReferences": [{"uid": "uid-chat"}],
        "labels": {LABEL_POOL: "chat"},
        "annotations": {ANNOTATION_LAST_VALID_SPEC: spec},
        **changes,
    }
    return {"metadata": metadata}


@pytest.mark.parametrize(
    "found",
    [
        None,
        account(annotations={}),
        account(annotations={ANNOTATION_LAST_VALID_SPEC: "{"}),
        account(annotations={ANNOTATION_LAST_VALID_SPEC: '{"fromTheFuture": true}'}),
        account(ownerReferences=[{"uid": "an-earlier-chat"}]),
        account(
            annotations={ANNOTATION_LAST_VALID_SPEC: json.dumps(manifest("chat", variant(quantization="x"))["spec"])}
        ),
    ],
    ids=["no account", "not noted", "no json", "no spec", "of another pool", "gone from the catalogue"],
)
async def test_what_is_not_noted_is_not_recovered(planner: Planner, view: ClusterView, found: Any) -> None:
    if found is not None:
        view.put(SERVICE_ACCOUNTS, found)
    assert await planner.recover(stored(manifest("chat"))) is None


async def test_a_noted_spec_is_recovered(planner: Planner, view: ClusterView) -> None:
    view.put(SERVICE_ACCOUNTS, account())
    assert await planner.recover(stored(manifest("chat"))) is not None


async def test_a_name_belongs_to_the_older_pool(planner: Planner, view: ClusterView) -> None:
    older = stored(manifest("older", servedNames=["m"]), created="2026-01-01T00:00:00Z")
    newer = stored(manifest("newer", servedNames=["m"]), created="2026-01-01T00:00:01Z")
    view.put(POOLS, newer)
    assert (await assess(planner, view, older)).plan is not None
    found = await planner.assess(PoolKey("ns", "newer"), newer)
    assert [each.reason for each in found.violations] == [Reason.SERVED_NAME_TAKEN]
    view.remove(POOLS, older)
    assert (await planner.assess(PoolKey("ns", "newer"), newer)).plan is not None


async def test_an_entry_of_the_catalogue_that_we_cannot_read_is_as_good_as_none(
    planner: Planner, view: ClusterView
) -> None:
    bf16 = yaml.safe_load(manifests(FORMATS_FOLDER)["bf16.yaml"])
    view.put(FORMATS, stored({**bf16, "spec": {"fromTheFuture": True}}, version=2, generation=2))
    found = await assess(planner, view, stored(manifest()))
    assert [each.reason for each in found.violations] == [Reason.UNKNOWN_QUANTIZATION]


async def test_what_is_gone_is_forgotten(planner: Planner, view: ClusterView) -> None:
    raw = stored(manifest())
    await assess(planner, view, raw)
    planner.forget(key_of(raw))
    planner.forget_object("uid-chat")
    assert (planner._known, "uid-chat" in planner._parsed) == ({}, False)
