"""A bad spec is reported with field, cause and remedy, and what ran before keeps running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.catalog.built_in import FORMATS_FOLDER, manifests
from support.pool_manifests import pool, variant
from support.pool_questions import APPLIED, condition, get, versions, wait_for_condition
from support.waiting import eventually

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("manifest", "kind", "reason", "path"),
    [
        (
            pool("chat", variant(quantization="int3")),
            "Validated",
            "UnknownQuantizationFormat",
            "spec.variants[0].quantization",
        ),
        (
            pool("chat", variant(accelerator="tpu")),
            "Validated",
            "UnknownAcceleratorClass",
            "spec.variants[0].accelerator",
        ),
        (pool(engine={"args": ["--max-model-len=1"]}), "Validated", "OwnedFlag", "spec.engine.args[0]"),
        (pool(engine={"maxModelLen": 1000000}), "Fits", "ContextTooLong", "spec.engine.maxModelLen"),
        (pool("chat", variant(tensorParallel=3)), "Fits", "IndivisibleHeads", "spec.variants[0].tensorParallel"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong_from_the_start_is_not_applied(
    sandbox: PoolSandbox, manifest: dict[str, Any], kind: str, reason: str, path: str
) -> None:
    sandbox.apply([manifest])
    found = wait_for_condition(sandbox, "chat", kind, status="False", reason=reason)
    assert path in found["message"]
    assert condition(sandbox, "chat", "Ready") | {"message": ""} == {
        **found,
        "type": "Ready",
        "message": "",
        "lastTransitionTime": condition(sandbox, "chat", "Ready")["lastTransitionTime"],
    }
    assert sandbox.items(APPLIED, pool="chat") == []


def test_a_bad_edit_leaves_everything_as_it_is_and_a_good_one_goes_on(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")
    before = versions(sandbox, "chat")
    sandbox.apply([pool("chat", variant(quantization="int3", least=2))])
    found = wait_for_condition(sandbox, "chat", "Ready", status="False", reason="UnknownQuantizationFormat")
    assert "keep serving" in found["message"]
    after = versions(sandbox, "chat")
    assert {name for name in before if after[name] != before[name]} == {"LLMServingPool/chat"}
    sandbox.apply([pool("chat", variant(least=2))])
    sandbox.wait_until_ready("chat")
    eventually(lambda: len(sandbox.items("pods", pool="chat")) == 2, "two replicas")


def test_what_a_bad_edit_left_is_still_repaired(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")
    sandbox.apply([pool("chat", variant(quantization="int3"))])
    wait_for_condition(sandbox, "chat", "Validated", status="False", reason="UnknownQuantizationFormat")
    sandbox.kubectl("scale", "deployment", "chat-main", "--replicas=0")
    eventually(lambda: get(sandbox, "deployment", "chat-main")["spec"]["replicas"] == 1, "one replica")


@pytest.fixture
def new_format() -> dict[str, Any]:
    """A format of the catalogue under a name that nobody has."""
    manifest: dict[str, Any] = yaml.safe_load(manifests(FORMATS_FOLDER)["bf16.yaml"])
    return {**manifest, "metadata": {"name": "brand-new"}}


def test_a_format_that_is_added_later_makes_the_pool_valid(sandbox: PoolSandbox, new_format: dict[str, Any]) -> None:
    sandbox.apply([pool("chat", variant(quantization="brand-new"))])
    wait_for_condition(sandbox, "chat", "Validated", status="False", reason="UnknownQuantizationFormat")
    sandbox.apply([new_format])
    sandbox.wait_until_ready("chat")
    sandbox.kubectl("delete", "quantizationformat", "brand-new")
    found = wait_for_condition(sandbox, "chat", "Ready", status="False", reason="UnknownQuantizationFormat")
    assert "keep serving" in found["message"]


def test_a_served_name_belongs_to_the_older_pool_until_it_goes(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool("first", servedNames=["model"])])
    sandbox.wait_until_ready("first")
    sandbox.apply([pool("second", servedNames=["model"])])
    found = wait_for_condition(sandbox, "second", "Validated", status="False", reason="ServedNameTaken")
    assert "spec.servedNames[0]: the pool first answers for the model name model" in found["message"]
    assert condition(sandbox, "first", "Ready")["status"] == "True"
    sandbox.delete_pool("first")
    sandbox.wait_until_ready("second")


def test_pods_that_the_namespace_refuses_are_reported_until_it_takes_them(sandbox: PoolSandbox) -> None:
    sandbox.kubectl("create", "quota", "none", "--hard=pods=0")
    sandbox.apply([pool()])
    found = wait_for_condition(sandbox, "chat", "WorkloadReady", status="False", reason="PodsRefused")
    assert "exceeded quota: none" in found["message"]
    sandbox.kubectl("delete", "quota", "none")
    sandbox.wait_until_ready("chat")


def test_a_pod_that_no_node_takes_says_so(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool("chat", variant(accelerator="a100-80gb"))])
    found = wait_for_condition(sandbox, "chat", "WorkloadReady", status="False", reason="Unschedulable")
    assert "spec.variants[0]" in found["message"]
