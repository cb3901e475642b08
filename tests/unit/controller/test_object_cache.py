from __future__ import annotations

from typing import Any

import pytest

from mixserve.controller import object_cache
from mixserve.controller.cluster_view import pool_of
from mixserve.controller.object_cache import ObjectCache, PoolKey, key_of
from support.kube_objects import pod

POOL = PoolKey("ns", "p")


def at(version: int, name: str = "p-0", **metadata: Any) -> dict[str, Any]:
    return pod(name, resourceVersion=str(version), **metadata)


@pytest.fixture
def cache() -> ObjectCache:
    return ObjectCache(group=pool_of)


def test_only_newer_versions_are_news(cache: ObjectCache) -> None:
    assert cache.put(at(5))
    assert not cache.put(at(5))
    assert not cache.put(at(4))
    # As numbers, not as texts.
    assert cache.put(at(10))
    assert len(cache) == 1


def test_objects_are_found_by_pool_in_the_order_of_their_names(cache: ObjectCache) -> None:
    for name in ("c", "a", "b"):
        cache.put(at(1, name))
    cache.put(pod("stray", labels={}))
    assert [obj["metadata"]["name"] for obj in cache.of(POOL)] == ["a", "b", "c"]
    assert len(list(cache.all())) == 4
    assert cache.of(PoolKey("ns", "other")) == []


def test_an_object_that_changes_its_pool_is_found_there(cache: ObjectCache) -> None:
    cache.put(at(1))
    cache.put(pod(resourceVersion="2", labels={"mixserve.dev/pool": "q"}))
    assert cache.of(POOL) == []
    assert len(cache.of(PoolKey("ns", "q"))) == 1


def test_a_deletion_is_news_once(cache: ObjectCache) -> None:
    cache.put(at(1))
    assert cache.remove(at(2))
    assert not cache.remove(at(2))
    assert cache.get(PoolKey("ns", "p-0")) is None
    assert (cache._objects, cache._groups) == ({}, {})


def test_a_late_deletion_of_a_namesake_leaves_its_successor(cache: ObjectCache) -> None:
    cache.put(at(5, uid="new"))
    assert not cache.remove(at(4, uid="old"))
    assert cache.get(PoolKey("ns", "p-0")) is not None


def test_a_list_from_before_a_deletion_does_not_bring_the_object_back(cache: ObjectCache) -> None:
    cache.put(at(1))
    cache.remove(at(2))
    assert not cache.put(at(1))
    assert cache.put(at(3, uid="made anew"))


def test_deletions_are_remembered_for_a_while(cache: ObjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_cache, "_REMEMBERED_DELETIONS", 2)
    for name in ("a", "b", "c"):
        cache.remove(at(1, name))
    assert list(cache._deleted) == ["uid-b", "uid-c"]


def test_an_object_whose_label_was_taken_and_given_back_is_there_again(cache: ObjectCache) -> None:
    cache.put(at(1))
    assert cache.remove(at(2))
    assert cache.put(at(3))
    assert cache.get(PoolKey("ns", "p-0")) is not None


def test_a_deletion_that_a_list_has_shown_counts_from_the_list_on(cache: ObjectCache) -> None:
    cache.put(at(1))
    assert cache.remove(at(1), version="9")
    assert not cache.put(at(5))
    assert cache.put(at(10))


def test_what_a_list_lacks_is_gone_unless_it_is_younger_than_the_list(cache: ObjectCache) -> None:
    for version, name in ((1, "gone"), (2, "there"), (30, "younger")):
        cache.put(at(version, name))
    missing = cache.missing_from([at(2, "there")], version="9")
    assert [key_of(obj).name for obj in missing] == ["gone"]


def test_what_nobody_reads_is_dropped() -> None:
    cache = ObjectCache(group=pool_of, trim=lambda obj: {**obj, "status": {}})
    cache.put(at(1))
    assert cache.of(POOL)[0]["status"] == {}
