from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.apply.errors import ApiError, NotFound, Unavailable
from mixserve.apply.resources import PODS, POOLS, Resource
from mixserve.controller import listing
from mixserve.controller.cluster_view import WATCHED, ClusterView
from mixserve.controller.listing import Lister
from mixserve.controller.object_cache import PoolKey
from support.kube_objects import pod
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    import pytest

P = PoolKey("ns", "p")


class Cluster:
    """Answers lists: with one pod, or an error that is next in line."""

    def __init__(self, *errors: ApiError) -> None:
        self.errors = list(errors)
        self.asked: list[tuple[Resource, str, str | None]] = []

    async def get(self, resource: Resource, *, namespace: str, label_selector: str | None) -> dict[str, Any]:
        self.asked.append((resource, namespace, label_selector))
        if self.errors:
            raise self.errors.pop(0)
        items = [pod()] if resource is PODS and namespace in {"", "ns"} else []
        return {"metadata": {"resourceVersion": "5"}, "items": items}


def lister(cluster: Cluster, view: ClusterView, *namespaces: str) -> tuple[Lister, list[PoolKey]]:
    keys: list[PoolKey] = []
    return Lister(cluster, view=view, namespaces=namespaces, enqueue=keys.append), keys


async def test_everything_is_listed_and_of_others_only_what_the_operator_manages() -> None:
    cluster = Cluster()
    listed, keys = lister(cluster, ClusterView())
    await listed.list_all()
    assert {resource for resource, _, _ in cluster.asked} == set(WATCHED)
    assert keys == [P]
    selectors = {resource.kind: selector for resource, _, selector in cluster.asked}
    assert selectors["Pod"] == selectors["Deployment"] == "app.kubernetes.io/managed-by=mixserve"
    assert selectors["LLMServingPool"] is None


async def test_what_the_watches_have_missed_before_they_began_is_looked_for_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "_WATCHES_BEGIN_S", 0.0)
    listed, keys = lister(Cluster(), ClusterView())
    async with running(listed.repeat(1000.0)):
        await until(lambda: keys == [P])


async def test_what_is_gone_is_noticed() -> None:
    view = ClusterView()
    view.put(PODS, pod("gone"))
    listed, keys = lister(Cluster(), view)
    await listed.list_all()
    assert keys == [P]
    assert [each["metadata"]["name"] for each in view.pods.of(P)] == ["p-0"]


async def test_with_namespaces_only_these_are_listed_and_others_not_forgotten() -> None:
    view, cluster = ClusterView(), Cluster()
    elsewhere = pod("elsewhere", namespace="third")
    view.put(PODS, elsewhere)
    listed, _ = lister(cluster, view, "ns", "other")
    await listed.list_all()
    assert [namespace for resource, namespace, _ in cluster.asked if resource is POOLS] == ["ns", "other"]
    assert [namespace for resource, namespace, _ in cluster.asked if not resource.namespaced] == ["", ""]
    assert view.pods.get(PoolKey("third", "elsewhere")) is not None


async def test_the_first_list_waits_for_the_server_and_for_the_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAUSE_S", 0.0)
    cluster = Cluster(Unavailable("no answer"), NotFound("no such kind", status=404))
    listed, keys = lister(cluster, ClusterView())
    await listed.first()
    assert cluster.errors == []
    assert keys == [P]
