from __future__ import annotations

from typing import Any

import pytest

from mixserve.controller.object_cache import PoolKey
from mixserve.controller.served_names import ServedNames


def pool(name: str, *names: str, namespace: str = "ns") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"servedNames": list(names)} if names else {}}


def key(name: str, namespace: str = "ns") -> PoolKey:
    return PoolKey(namespace, name)


@pytest.fixture
def index() -> ServedNames:
    return ServedNames()


def test_a_pool_without_served_names_answers_for_its_own(index: ServedNames) -> None:
    index.put(pool("a"))
    assert index.put(pool("b", "a")) == {key("a")}
    assert index.sharing(key("b")) == {key("a")}


def test_namespaces_do_not_conflict(index: ServedNames) -> None:
    index.put(pool("a", "m", namespace="one"))
    assert index.put(pool("b", "m", namespace="two")) == set()
    assert index.sharing(key("b", "two")) == set()


def test_a_change_of_anything_else_concerns_nobody(index: ServedNames) -> None:
    index.put(pool("a", "m"))
    index.put(pool("b", "m"))
    assert index.put(pool("b", "m")) == set()


def test_giving_up_or_taking_a_name_concerns_those_who_want_it(index: ServedNames) -> None:
    for name, served in (("a", "m"), ("b", "m"), ("c", "n"), ("d", "o")):
        index.put(pool(name, served))
    assert index.put(pool("b", "n")) == {key("a"), key("c")}
    assert index.sharing(key("a")) == set()
    assert index.sharing(key("c")) == {key("b")}


def test_a_pool_that_goes_leaves_nothing_behind(index: ServedNames) -> None:
    index.put(pool("a", "m"))
    index.put(pool("b", "m"))
    assert index.remove(pool("a", "m")) == {key("b")}
    assert index.remove(pool("b", "m")) == set()
    assert index.remove(pool("never", "there")) == set()
    assert (index._names, dict(index._holders)) == ({}, {})


def test_adapters_have_names_as_well(index: ServedNames) -> None:
    adapted = {**pool("a", "m"), "spec": {"servedNames": ["m"], "model": {"adapters": [{"name": "law"}]}}}
    index.put(adapted)
    assert index.put(pool("b", "law")) == {key("a")}
    assert index.put({**pool("c"), "spec": {"model": None}}) == set()


def test_deployments_have_names_as_well(index: ServedNames) -> None:
    first = {**pool("a"), "spec": {"variants": [{"name": "b-c"}]}}
    second = {**pool("a-b"), "spec": {"variants": [{"name": "c"}]}}
    index.put(first)
    assert index.put(second) == {key("a")}
    assert index.remove(first) == {key("a-b")}
