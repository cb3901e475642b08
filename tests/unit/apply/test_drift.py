from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.apply.drift import first_difference

DESIRED: dict[str, Any] = {
    "metadata": {"name": "p-v", "labels": {"a": "1"}, "annotations": {}},
    "spec": {
        "paused": None,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "engine",
                        "args": ["serve", "x"],
                        "env": [{"name": "HOME", "value": "/home"}],
                        "ports": [{"containerPort": 8000}],
                        "resources": {"limits": {"cpu": "1000m", "memory": "16384Mi", "nvidia.com/gpu": 2}},
                    }
                ],
                "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8192Mi"}}],
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            }
        },
    },
}


@pytest.fixture
def live() -> dict[str, Any]:
    """The same object as the API server gives it back: with defaults, and quantities in its own form."""
    obj = copy.deepcopy(DESIRED)
    del obj["metadata"]["annotations"]
    del obj["spec"]["paused"]
    obj["spec"]["replicas"] = 3
    obj["status"] = {"replicas": 3}
    pod = obj["spec"]["template"]["spec"]
    pod["restartPolicy"] = "Always"
    engine = pod["containers"][0]
    engine["ports"][0]["protocol"] = "TCP"
    engine["resources"]["limits"] = {"cpu": "1", "memory": "16Gi", "nvidia.com/gpu": "2"}
    pod["volumes"][0]["emptyDir"]["sizeLimit"] = "8Gi"
    return obj


def engine_of(obj: dict[str, Any]) -> dict[str, Any]:
    engine: dict[str, Any] = obj["spec"]["template"]["spec"]["containers"][0]
    return engine


def test_what_the_server_adds_or_writes_in_another_way_is_no_difference(live: dict[str, Any]) -> None:
    assert first_difference(DESIRED, live) is None


def test_a_sidecar_of_somebody_else_is_no_difference(live: dict[str, Any]) -> None:
    live["spec"]["template"]["spec"]["containers"].insert(0, {"name": "spy"})
    engine = live["spec"]["template"]["spec"]["containers"][1]
    engine["env"].append({"name": "MORE", "value": "1"})
    assert first_difference(DESIRED, live) is None


def test_a_label_that_was_changed(live: dict[str, Any]) -> None:
    live["metadata"]["labels"]["a"] = "2"
    assert first_difference(DESIRED, live) == "metadata.labels.a"


def test_a_label_that_was_removed(live: dict[str, Any]) -> None:
    del live["metadata"]["labels"]
    assert first_difference(DESIRED, live) == "metadata.labels"


def test_an_argument_that_was_added(live: dict[str, Any]) -> None:
    engine_of(live)["args"].append("--more")
    assert first_difference(DESIRED, live) == "spec.template.spec.containers[name=engine].args"


def test_arguments_in_another_order(live: dict[str, Any]) -> None:
    engine_of(live)["args"].reverse()
    assert first_difference(DESIRED, live) == "spec.template.spec.containers[name=engine].args[0]"


def test_a_variable_that_was_changed(live: dict[str, Any]) -> None:
    engine_of(live)["env"][0]["value"] = "/root"
    assert first_difference(DESIRED, live) == "spec.template.spec.containers[name=engine].env[name=HOME].value"


def test_a_variable_that_looks_like_the_same_quantity(live: dict[str, Any]) -> None:
    desired = copy.deepcopy(DESIRED)
    engine_of(desired)["env"][0]["value"] = "1"
    engine_of(live)["env"][0]["value"] = "1000m"
    assert first_difference(desired, live) is not None


def test_a_container_that_was_removed(live: dict[str, Any]) -> None:
    live["spec"]["template"]["spec"]["containers"] = [{"name": "spy"}]
    assert first_difference(DESIRED, live) == "spec.template.spec.containers[name=engine]"


def test_a_quantity_that_was_changed(live: dict[str, Any]) -> None:
    engine_of(live)["resources"]["limits"]["memory"] = "8Gi"
    path = "spec.template.spec.containers[name=engine].resources.limits.memory"
    assert first_difference(DESIRED, live) == path


def test_a_quantity_that_cannot_be_read_is_compared_as_text() -> None:
    limits = {"limits": {"cpu": "lots"}}
    assert first_difference(limits, {"limits": {"cpu": "lots"}}) is None
    assert first_difference(limits, {"limits": {"cpu": "1"}}) == "limits.cpu"


def test_false_is_not_absent_and_not_zero() -> None:
    assert first_difference({"mount": False}, {}) == "mount"
    assert first_difference({"mount": False}, {"mount": 0}) == "mount"


def test_a_mapping_is_not_a_text() -> None:
    assert first_difference({"a": {"b": 1}}, {"a": "text"}) == "a"


def test_items_without_a_key_are_compared_by_place() -> None:
    desired = {"tolerations": [{"key": "a"}, {"key": "b"}]}
    assert first_difference(desired, {"tolerations": [{"key": "a", "effect": "x"}, {"key": "b"}]}) is None
    assert first_difference(desired, {"tolerations": [{"key": "b"}, {"key": "a"}]}) == "tolerations[0].key"
    assert first_difference(desired, {"tolerations": [{"key": "a"}]}) == "tolerations"


names = st.sampled_from(["a", "b", "c"])
leaves = st.one_of(st.integers(), st.text(max_size=3), st.booleans())
objects = st.recursive(
    st.dictionaries(names, leaves, max_size=3),
    lambda inner: st.dictionaries(names, st.one_of(inner, st.lists(leaves, max_size=3)), max_size=3),
    max_leaves=10,
)


@given(objects)
def test_an_object_is_as_itself(obj: dict[str, Any]) -> None:
    assert first_difference(obj, copy.deepcopy(obj)) is None


@given(objects, objects)
def test_what_was_merged_in_is_there(live: dict[str, Any], desired: dict[str, Any]) -> None:
    def merge(into: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        merged = dict(into)
        for key, value in new.items():
            old = into.get(key)
            merged[key] = merge(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
        return merged

    assert first_difference(desired, merge(live, desired)) is None
