from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import kopf
from kubernetes.aio.client import Configuration

from mixserve.controller.cluster_view import WATCHED, ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.queue import KeyedQueue
from mixserve.controller.watching import connection_info, watch_registry, watch_settings
from support.kube_objects import pod

if TYPE_CHECKING:
    import pytest


async def test_kopf_uses_the_same_token() -> None:
    configuration = Configuration()
    configuration.host = "https://example.com"
    configuration.api_key = {"BearerToken": "Bearer made-up"}
    configuration.ssl_ca_cert = "/ca.crt"
    found = await connection_info(configuration)
    assert (found.server, found.scheme, found.token) == ("https://example.com", "Bearer", "made-up")
    assert (found.ca_path, found.insecure) == ("/ca.crt", False)


async def test_kopf_uses_the_same_certificate() -> None:
    configuration = Configuration()
    configuration.cert_file, configuration.key_file = "/tls.crt", "/tls.key"
    found = await connection_info(configuration)
    assert (found.certificate_path, found.private_key_path, found.token) == ("/tls.crt", "/tls.key", None)


async def test_a_token_that_was_renewed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration()

    def renew(current: Configuration) -> None:
        current.api_key["BearerToken"] = "Bearer new"

    configuration.refresh_api_key_hook = renew
    assert (await connection_info(configuration)).token == "new"


def test_kopf_only_watches() -> None:
    registry = watch_registry(ClusterView(), KeyedQueue())
    handlers = registry._watching.get_all_handlers()
    assert len(handlers) == len(WATCHED)
    others = (registry._changing, registry._spawning, registry._indexing, registry._webhooks)
    assert not [handler for each in others for handler in each.get_all_handlers()]


async def test_an_event_goes_into_the_cache_and_its_pool_into_the_queue() -> None:
    view, queue = ClusterView(), KeyedQueue[PoolKey]()
    handlers = {one.id: one.fn for one in watch_registry(view, queue)._watching.get_all_handlers()}
    await handlers["see-pods"](event={"type": "ADDED", "object": pod()})
    assert len(view.pods) == 1
    await handlers["see-pods"](event={"type": "DELETED", "object": pod()})
    assert len(view.pods) == 0
    assert queue.depth == 0
    async with asyncio.timeout(2):
        assert await queue.get() == PoolKey("ns", "p")


async def test_a_change_of_a_pool_itself_does_not_wait() -> None:
    queue = KeyedQueue[PoolKey]()
    handlers = {one.id: one.fn for one in watch_registry(ClusterView(), queue)._watching.get_all_handlers()}
    await handlers["see-llmservingpools"](event={"type": "ADDED", "object": pod()})
    assert queue.depth == 1


def test_kopf_writes_nothing() -> None:
    settings = watch_settings()
    assert not settings.posting.enabled
    storage = settings.persistence.diffbase_storage
    body = kopf.Body({"metadata": {"name": "x"}, "spec": {"a": base64.b64encode(b"x").decode()}})
    assert storage.build(body=body) == {}
    assert storage.fetch(body=body) is None
    patch = kopf.Patch()
    storage.store(body=body, patch=patch, essence=kopf.BodyEssence())
    assert not patch
