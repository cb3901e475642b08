from __future__ import annotations

from typing import Any

import pytest

from mixserve.apply.resources import DEPLOYMENTS, FORMATS, PODS, POLICIES, POOLS, ROLES, SERVICES
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import GatewayKey, PoolKey
from support.kube_objects import deployment, pod
from support.policies import stored_policy

P, Q = PoolKey("ns", "p"), PoolKey("ns", "q")


def pool(name: str, *, version: int = 1, served: str | None = None, **variant: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"variants": [{"name": "v", **variant}]}
    if served:
        spec["servedNames"] = [served]
    metadata = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec}


def catalogue(name: str, version: int = 1, generation: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version), "generation": generation}}


@pytest.fixture
def view() -> ClusterView:
    return ClusterView()


def test_an_object_concerns_the_pool_whose_label_it_carries(view: ClusterView) -> None:
    assert view.put(DEPLOYMENTS, deployment()) == {P}
    assert view.put(PODS, pod()) == {P}
    assert view.put(PODS, pod()) == set()
    assert view.put(PODS, pod("stray", labels={})) == set()
    assert view.remove(PODS, pod()) == {P}
    assert view.remove(PODS, pod()) == set()


def test_items_of_lists_get_their_kind(view: ClusterView) -> None:
    bare = deployment()
    del bare["kind"], bare["apiVersion"]
    view.put(DEPLOYMENTS, bare)
    assert [(obj["apiVersion"], obj["kind"]) for obj in view.owned(P)] == [("apps/v1", "Deployment")]


def test_a_pool_has_all_kinds_of_objects(view: ClusterView) -> None:
    view.put(SERVICES, deployment("p") | {"kind": "Service"})
    view.put(DEPLOYMENTS, deployment("p-v"))
    view.put(DEPLOYMENTS, deployment("q-v", labels={"mixserve.dev/pool": "q"}))
    assert [obj["kind"] for obj in view.owned(P)] == ["Deployment", "Service"]


def test_a_pool_concerns_itself_and_those_that_want_its_name(view: ClusterView) -> None:
    assert view.put(POOLS, pool("p", served="m")) == {P}
    assert view.put(POOLS, pool("q", served="m")) == {P, Q}
    assert view.put(POOLS, pool("q", served="m", version=2)) == {Q}
    assert view.remove(POOLS, pool("p", served="m")) == {P, Q}


def test_an_entry_of_the_catalogue_concerns_all_pools(view: ClusterView) -> None:
    view.put(POOLS, pool("p", quantization="fp8", accelerator="l4"))
    view.put(POOLS, pool("q", quantization="bf16", accelerator="l4"))
    assert view.put(FORMATS, catalogue("fp8")) == {P, Q}
    assert view.put(FORMATS, catalogue("fp8")) == set()
    assert view.put(FORMATS, catalogue("fp8", 2, generation=2)) == {P, Q}
    assert view.remove(FORMATS, catalogue("fp8", 2)) == {P, Q}


def test_the_status_of_an_entry_concerns_no_pool(view: ClusterView) -> None:
    view.put(POOLS, pool("p"))
    view.put(FORMATS, catalogue("fp8"))
    assert view.put(FORMATS, {**catalogue("fp8", 2), "status": {"pools": 1}}) == set()
    [kept] = view.formats.all()
    assert kept["status"] == {"pools": 1}


def test_pools_and_the_catalogue_are_told_of() -> None:
    news: list[None] = []
    view = ClusterView(said=lambda: news.append(None))
    for resource, obj in ((POOLS, pool("p")), (FORMATS, catalogue("fp8")), (PODS, pod()), (DEPLOYMENTS, deployment())):
        view.put(resource, obj)
        view.put(resource, obj)
    assert len(news) == 2
    view.remove(FORMATS, catalogue("fp8"))
    assert len(news) == 3


def test_a_list_brings_what_was_missed_and_takes_what_is_gone(view: ClusterView) -> None:
    view.put(PODS, pod("gone", labels={"mixserve.dev/pool": "q"}))
    view.put(PODS, pod("same"))
    listed = [pod("same"), pod("new", resourceVersion="3")]
    assert view.take_list(PODS, listed, version="5") == {P, Q}
    assert view.take_list(PODS, listed, version="5") == set()
    assert [obj["metadata"]["name"] for obj in view.pods.of(P)] == ["new", "same"]
    assert view.pods.of(Q) == []


def test_of_pods_only_what_is_read_is_kept(view: ClusterView) -> None:
    view.put(PODS, {**pod(managedFields=[{"manager": "x"}]), "spec": {"containers": []}})
    kept = view.pods.of(P)[0]
    assert "spec" not in kept
    assert "managedFields" not in kept["metadata"]
    assert kept["status"] == pod()["status"]


G = GatewayKey("llm")
GATEWAYS = {"labels": {"mixserve.dev/gateway": "true"}, "namespace": "llm"}


def named(name: str, *served: str, version: int = 1, generation: int = 1) -> dict[str, Any]:
    found = pool(name, version=version, served=served[0] if served else None)
    return {**found, "metadata": {**found["metadata"], "namespace": "llm", "generation": generation}}


def test_what_carries_a_gateways_label_concerns_the_gateway(view: ClusterView) -> None:
    assert view.put(DEPLOYMENTS, deployment("mixserve-gateway", **GATEWAYS)) == {G}
    assert view.put(ROLES, deployment("mixserve-gateway", **GATEWAYS)) == {G}
    assert view.put(PODS, pod("g", **GATEWAYS)) == {G}
    assert [obj["kind"] for obj in view.owned(G)] == ["Deployment", "Deployment"]
    assert [obj["metadata"]["name"] for obj in view.pods.of(G)] == ["g"]


def test_what_loses_its_label_concerns_whom_it_belonged_to(view: ClusterView) -> None:
    view.put(DEPLOYMENTS, deployment())
    assert view.put(DEPLOYMENTS, deployment(resourceVersion="2", labels={})) == {P}


def test_a_policy_concerns_its_gateway_and_pools_that_want_its_names(view: ClusterView) -> None:
    view.put(POOLS, named("auto"))
    view.put(POOLS, named("chat", "other"))
    assert view.put(POLICIES, stored_policy()) == {G, PoolKey("llm", "auto")}
    renamed = stored_policy(version=2, generation=2, servedNames=["other"])
    assert view.put(POLICIES, renamed) == {G, PoolKey("llm", "auto"), PoolKey("llm", "chat")}
    assert view.put(POLICIES, {**renamed, "metadata": {**renamed["metadata"], "resourceVersion": "3"}}) == set()
    assert view.remove(POLICIES, renamed) == {G, PoolKey("llm", "chat")}


def test_a_pool_concerns_the_gateway_of_its_namespace_when_its_spec_changes(view: ClusterView) -> None:
    assert view.put(POOLS, named("chat")) == {PoolKey("llm", "chat")}
    view.put(POLICIES, stored_policy())
    assert view.put(POOLS, named("chat", version=2)) == {PoolKey("llm", "chat")}
    assert view.put(POOLS, named("chat", version=3, generation=2)) == {PoolKey("llm", "chat"), G}
    assert view.remove(POOLS, named("chat", version=3, generation=2)) == {PoolKey("llm", "chat"), G}


def test_policies_that_are_being_deleted_are_none(view: ClusterView) -> None:
    view.put(POLICIES, stored_policy())
    assert len(view.policies_in("llm")) == 1
    assert view.policies_in("ns") == []
    going = stored_policy(version=2)
    going["metadata"]["deletionTimestamp"] = "now"
    view.put(POLICIES, going)
    assert view.policies_in("llm") == []


def test_what_takes_the_requests_of_policies_is_told_of_where_there_are_some() -> None:
    news: list[None] = []
    view = ClusterView(routes_said=lambda: news.append(None))
    view.put(PODS, pod())
    assert news == []
    view.put(POLICIES, stored_policy())
    view.put(PODS, pod("other"))
    view.put(FORMATS, catalogue("fp8"))
    assert len(news) == 2
