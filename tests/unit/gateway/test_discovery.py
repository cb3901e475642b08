"""What Envoy is told of endpoints, and when."""

from __future__ import annotations

import asyncio
import json

from mixserve.gateway.discovery import PATH, EndpointDiscovery
from mixserve.gateway.unix_server import Request


def request(*pools: str, version: str | None = None) -> Request:
    asked = {"resource_names": list(pools), **({} if version is None else {"version_info": version})}
    return Request(PATH, {}, json.dumps(asked).encode())


def read(answer: bytes) -> tuple[str, list[dict]]:
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    return body["version_info"], body["resources"]


async def test_the_first_question_is_answered_at_once():
    discovery = EndpointDiscovery()
    discovery.update({"a": {"cluster_name": "a", "endpoints": [1]}})
    _, resources = read(await discovery.handle(request("a")))
    assert resources == [{"cluster_name": "a", "endpoints": [1]}]


async def test_the_next_one_is_held_until_the_pool_changes():
    discovery = EndpointDiscovery()
    discovery.update({"a": {"n": 1}, "b": {"n": 1}})
    version, _ = read(await discovery.handle(request("a")))
    waiting = asyncio.ensure_future(discovery.handle(request("a", version=version)))
    await asyncio.sleep(0)
    discovery.update({"a": {"n": 1}, "b": {"n": 2}})
    await asyncio.sleep(0)
    assert not waiting.done()

    discovery.update({"a": {"n": 2}, "b": {"n": 2}})
    new_version, resources = read(await asyncio.wait_for(waiting, 5))
    assert (resources, new_version != version) == ([{"n": 2}], True)


async def test_after_a_while_the_same_is_said_again():
    discovery = EndpointDiscovery(hold_s=0.01)
    discovery.update({"a": {"n": 1}})
    version, resources = read(await discovery.handle(request("a")))
    assert read(await discovery.handle(request("a", version=version))) == (version, resources)


async def test_a_pool_that_is_gone_has_no_endpoints():
    discovery = EndpointDiscovery()
    discovery.update({"a": {"n": 1}})
    version, _ = read(await discovery.handle(request("a")))
    discovery.update({})
    _, resources = read(await discovery.handle(request("a", version=version)))
    assert resources[0]["endpoints"] == []


async def test_who_knows_nothing_yet_says_nothing():
    discovery = EndpointDiscovery(hold_s=0.01)
    assert (await discovery.handle(request("a", version="x"))).startswith(b"HTTP/1.1 503 ")

    patient = EndpointDiscovery()
    waiting = asyncio.ensure_future(patient.handle(request("a")))
    await asyncio.sleep(0)
    assert not waiting.done()
    patient.update({"a": {"n": 1}})
    assert read(await asyncio.wait_for(waiting, 5))[1] == [{"n": 1}]


async def test_versions_come_from_the_content_so_that_a_new_process_changes_nothing():
    versions = []
    for _ in range(2):
        discovery = EndpointDiscovery()
        discovery.update({"a": {"n": 1}})
        versions.append(read(await discovery.handle(request("a")))[0])
    assert versions[0] == versions[1]
