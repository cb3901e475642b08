"""What the gateway knows of its namespace, from the API server's lists and watches."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_LAST_VALID_POLICIES
from mixserve.apply.errors import Forbidden, NotFound
from mixserve.apply.resources import PODS, POLICIES, POOLS
from mixserve.gateway.namespace_view import NamespaceView
from support.policies import stored_policy
from support.pool_manifests import pool as pool_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mixserve.apply.resources import Resource
    from mixserve.route.table import RoutingTable


def pool(name: str, **spec: Any) -> dict[str, Any]:
    made = pool_manifest(name)
    metadata = {"name": name, "namespace": "llm", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": {**metadata, "resourceVersion": "2"}, "spec": {**made["spec"], **spec}}


def pod(name: str, of: str) -> dict[str, Any]:
    labels = {"mixserve.dev/pool": of, "mixserve.dev/routable": "true"}
    engine = {"name": "engine", "ports": [{"name": "http", "containerPort": 8000}]}
    return {
        "metadata": {"name": name, "uid": name, "labels": labels, "resourceVersion": "2"},
        "spec": {"containers": [engine]},
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


class Server:
    """Lists what it has, and tells of events."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self.objects = objects
        self.account: dict[str, Any] | None = None
        self.forbidden: set[str] = set()
        self.events: dict[str, asyncio.Queue[dict[str, Any]]] = {
            each.plural: asyncio.Queue() for each in (POOLS, POLICIES, PODS)
        }

    async def list_page(self, resource: Resource, *, namespace: str, **_: object) -> dict[str, Any]:
        assert namespace == "llm"
        if resource.plural in self.forbidden:
            raise Forbidden("no")
        return {"items": self.objects.get(resource.plural, []), "metadata": {"resourceVersion": "1"}}

    async def watch(self, resource: Resource, **_: object) -> AsyncGenerator[dict[str, Any]]:
        while True:
            yield await self.events[resource.plural].get()

    async def get(self, _: Resource, *, namespace: str, name: str) -> dict[str, Any]:
        assert (namespace, name) == ("llm", "mixserve-gateway")
        if self.account is None:
            raise NotFound("gone")
        return self.account

    def tell(self, resource: Resource, obj: dict[str, Any], kind: str = "MODIFIED") -> None:
        self.events[resource.plural].put_nowait({"type": kind, "object": obj})


class Watched:
    """A view that is kept up to date while the context lasts."""

    def __init__(self, server: Server) -> None:
        stand_in: Any = server
        self.view = NamespaceView(stand_in, "llm")

    async def __aenter__(self) -> NamespaceView:
        await self.view.recall()
        self.tasks = [asyncio.create_task(feed) for feed in self.view.feeds()]
        return self.view

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def table(view: NamespaceView) -> RoutingTable:
    async with asyncio.timeout(5):
        while True:
            await view.news()
            found = view.table()
            if found is not None:
                return found


async def test_pools_policies_and_pods_become_a_table() -> None:
    server = Server(
        llmservingpools=[pool("small"), pool("large")], routingpolicies=[stored_policy()], pods=[pod("a", "small")]
    )
    async with Watched(server) as view:
        found = await table(view)
        assert [(each.name, each.endpoints) for each in found.pools] == [("large", ()), ("small", ("10.0.0.1:8000",))]
        assert [each.name for each in found.policies] == ["auto"]
        assert view.problem is None
        assert view.silent_for_s < 60
        assert list(view.engines()) == ["10.0.0.1:8000"]
        server.tell(PODS, pod("a", "small"), "DELETED")
        assert (await table(view)).pools[1].endpoints == ()


async def test_without_one_of_the_lists_there_is_no_table() -> None:
    server = Server(llmservingpools=[pool("small")])
    server.forbidden = {"pods"}
    async with Watched(server) as view:
        await view.news()
        assert view.table() is None
        assert view.engines() == {}
        assert view.problem is not None
        assert "pods of llm" in view.problem


async def test_a_pool_of_a_newer_version_is_taken_as_it_was() -> None:
    server = Server(llmservingpools=[pool("small")], pods=[pod("a", "small")])
    async with Watched(server) as view:
        await table(view)
        server.tell(POOLS, pool("small", aNewField="x"))
        server.tell(POOLS, pool("other"))
        found = await table(view)
        assert {each.name for each in found.pools} == {"small", "other"}


async def test_a_pool_that_was_deleted_is_forgotten() -> None:
    server = Server(llmservingpools=[pool("small")])
    async with Watched(server) as view:
        await table(view)
        server.tell(POOLS, pool("small"), "DELETED")
        assert (await table(view)).pools == ()
        server.tell(POOLS, pool("small", aNewField="x"))
        server.tell(POOLS, pool("other"))
        assert [each.name for each in (await table(view)).pools] == ["other"]


@pytest.mark.parametrize("noted", [True, False])
async def test_a_policy_that_is_invalid_from_the_start_is_followed_as_it_last_was(*, noted: bool) -> None:
    broken = stored_policy()
    valid = broken["spec"]
    server = Server(routingpolicies=[{**broken, "spec": {"tiers": []}}])
    if noted:
        note = json.dumps({broken["metadata"]["uid"]: valid})
        server.account = {"metadata": {"annotations": {ANNOTATION_LAST_VALID_POLICIES: note}}}
    async with Watched(server) as view:
        assert [each.name for each in (await table(view)).policies] == (["auto"] if noted else [])


async def test_a_policy_that_becomes_invalid_is_followed_as_it_was() -> None:
    server = Server(routingpolicies=[stored_policy()], llmservingpools=[pool("small")])
    async with Watched(server) as view:
        await table(view)
        server.tell(POLICIES, {**stored_policy(), "spec": {"tiers": []}})
        assert [each.name for each in (await table(view)).policies] == ["auto"]
