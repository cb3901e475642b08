"""What the node says to the API server: with a fake one, which takes down what it is told."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any

import pytest

from mixserve_devcluster.node.addresses import AddressPool
from mixserve_devcluster.node.api_server import ApiError, ConflictError, GoneError, NotFoundError
from mixserve_devcluster.node.config import NodeSpec
from mixserve_devcluster.node.events import EventRecorder, PodEvent
from mixserve_devcluster.node.hollow import HollowPod
from mixserve_devcluster.node.pod_feed import PodFeed
from mixserve_devcluster.node.registration import Registration
from mixserve_devcluster.node.services import NodeIdentity
from mixserve_devcluster.node.status_publisher import StatusPublisher
from mixserve_devcluster.node.waiting import in_background
from support.fake_api_server import FakeApi


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes before a second try."""
    for module in ("status_publisher", "pod_feed"):
        monkeypatch.setattr(f"mixserve_devcluster.node.{module}._RETRY_S", 0.0)


def pod(name: str = "p", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": "5", **metadata},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": "i"}],
            "initContainers": [{"name": "i", "image": "i"}],
        },
    }


def publisher(api: FakeApi, *statuses: dict[str, Any]) -> StatusPublisher:
    """A publisher for a pod whose status is each of `statuses` in turn, then the last one."""
    left = list(statuses)
    return StatusPublisher(api, pod(), lambda: left.pop(0) if len(left) > 1 else left[0])  # type: ignore[arg-type]


async def test_a_status_is_written_when_it_has_changed() -> None:
    api = FakeApi()
    status = publisher(api, {"phase": "Pending"}, {"phase": "Pending"}, {"phase": "Running"})
    for _ in range(4):
        await status.flush()
    assert api.paths("patch") == ["/api/v1/namespaces/ns/pods/p/status"] * 2
    expected = [{"metadata": {"uid": "uid-p"}, "status": {"phase": phase}} for phase in ("Pending", "Running")]
    assert api.bodies("patch") == expected


async def test_addresses_replace_those_of_an_earlier_life() -> None:
    api = FakeApi()
    await publisher(api, {"podIPs": [{"ip": "127.9.0.1"}]}).flush()
    assert api.bodies("patch")[0]["status"] == {"podIPs": [{"ip": "127.9.0.1"}, {"$patch": "replace"}]}


@pytest.mark.usefixtures("quick")
async def test_a_write_is_tried_again_with_what_is_true_then() -> None:
    api = FakeApi(patch=[ApiError("busy")])
    status = publisher(api, {"phase": "Pending"}, {"phase": "Running"})
    await status.flush()
    assert [body["status"]["phase"] for body in api.bodies("patch")] == ["Pending", "Running"]
    assert status.reported == {"phase": "Running"}


@pytest.mark.parametrize("error", [NotFoundError("gone"), ConflictError("another one")])
async def test_a_pod_that_is_gone_has_no_status_and_need_not_be_deleted(error: ApiError) -> None:
    api = FakeApi(patch=[error], delete=[error])
    status = publisher(api, {"phase": "Pending"})
    await status.flush()
    await status.delete_pod()
    assert (len(api.paths("patch")), len(api.paths("delete"))) == (1, 1)


@pytest.mark.usefixtures("quick")
async def test_a_pod_is_deleted_at_once_and_only_this_one() -> None:
    api = FakeApi(delete=[ApiError("busy")])
    await publisher(api, {}).delete_pod()
    assert api.paths("delete") == ["/api/v1/namespaces/ns/pods/p"] * 2
    options = api.bodies("delete")[0]
    assert (options["gracePeriodSeconds"], options["preconditions"]) == (0, {"uid": "uid-p"})


class Services:
    """Of the services of a node, those that hollow pods use."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.addresses = AddressPool(IPv4Network("127.9.0.0/30"))


def hollow(services: Services, manifest: dict[str, Any], ready_after_s: float = 0.0) -> HollowPod:
    node = NodeIdentity(name="n", address="127.0.0.1", labels={}, allocatable={})
    return HollowPod(manifest, node, services, ready_after_s)  # type: ignore[arg-type]


async def turns(count: int = 20) -> None:
    """Let other tasks go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_hollow_pod_becomes_ready_and_goes_when_it_is_deleted() -> None:
    services = Services()
    local = hollow(services, pod(), ready_after_s=0.01)
    running = asyncio.create_task(local.run())
    await turns()
    assert services.api.calls == []
    await asyncio.wait_for(services.api.called.wait(), 5)
    (status,) = [body["status"] for body in services.api.bodies("patch")]
    assert (status["phase"], status["podIP"]) == ("Running", "127.9.0.1")
    assert {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == "True"
    assert "terminated" in status["initContainerStatuses"][0]["state"]
    assert local.running_id("c") is None
    local.update(pod(deletionTimestamp="2026-01-02T03:04:05Z"))
    await running
    assert services.api.paths("delete") == ["/api/v1/namespaces/ns/pods/p"]
    # Its address may be taken again, after the others.
    assert {services.addresses.take() for _ in range(3)} == {"127.9.0.1", "127.9.0.2", "127.9.0.3"}


async def test_a_hollow_pod_that_is_deleted_early_or_vanishes() -> None:
    services = Services()
    early = hollow(services, pod(deletionTimestamp="2026-01-02T03:04:05Z"), ready_after_s=60)
    await early.run()
    assert services.api.paths("patch") == []
    gone = hollow(services, pod("q"))
    running = asyncio.create_task(gone.run())
    gone.vanish()
    await running
    assert services.api.paths("delete") == ["/api/v1/namespaces/ns/pods/p"]


class Listener:
    """Takes down what happens to pods."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def take(self, pod: dict[str, Any]) -> None:
        self.heard.append(f"take {pod['metadata']['name']}")

    def lose(self, uid: str) -> None:
        self.heard.append(f"lose {uid}")


def listed(*pods: dict[str, Any], version: str = "1") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version}, "items": list(pods)}


@pytest.mark.usefixtures("quick")
async def test_the_feed_lists_watches_and_starts_anew() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    api = FakeApi(
        get=[ApiError("not yet"), listed(pod("a"), pod("b")), listed(pod("c"), version="20"), asyncio.CancelledError()],
        watch=[
            [{"type": "MODIFIED", "object": pod("a")}, {"type": "DELETED", "object": pod("a")}, bookmark],
            [{"type": "ADDED", "object": pod("c")}, GoneError("too old")],
            ApiError("broken"),
        ],
    )
    listener, synced = Listener(), []
    with contextlib.suppress(asyncio.CancelledError):
        await PodFeed(api, listener).run(lambda: synced.append(len(listener.heard)))  # type: ignore[arg-type]
    assert synced == [2]
    assert listener.heard == ["take a", "take b", "take a", "lose uid-a", "take c", "lose uid-b", "take c"]
    assert [query["resourceVersion"] for query in api.bodies("watch")] == ["1", "9", "20"]
    assert {query["fieldSelector"] for query in api.bodies("get") + api.bodies("watch")} == {"spec.nodeName!="}


def event(message: str = "m") -> PodEvent:
    return PodEvent(pod=pod(), kind="Warning", reason="Unhealthy", message=message, field_path="", node="n")


async def test_events_are_counted_and_written_again_when_they_have_expired() -> None:
    written = {"metadata": {"name": "p.1"}, "count": 1}
    counted = {"metadata": {"name": "p.1"}, "count": 2}
    api = FakeApi(create=[written, ApiError("busy"), written], patch=[counted, NotFoundError("expired")])
    recorder = EventRecorder(api)  # type: ignore[arg-type]
    async with in_background(recorder.run()):
        for message in ("m", "m", "lost", "m"):
            recorder.record(event(message))
        await turns()
    assert [method for method, _, _ in api.calls] == ["create", "patch", "create", "patch", "create"]
    assert [body["count"] for body in api.bodies("patch")] == [2, 3]
    first = api.bodies("create")[0]
    assert first["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "p",
        "namespace": "ns",
        "uid": "uid-p",
    }
    assert (first["type"], first["reason"], first["message"], first["count"]) == ("Warning", "Unhealthy", "m", 1)


async def test_too_many_events_are_dropped() -> None:
    api = FakeApi()
    recorder = EventRecorder(api)  # type: ignore[arg-type]
    for number in range(30):
        recorder.record(event(str(number)))
    with contextlib.suppress(KeyError):
        await recorder.run()
    assert recorder._queue.qsize() == 9


async def test_a_node_is_registered_again() -> None:
    api = FakeApi(
        get=[{"gitVersion": "v1.36.3"}], create=[ConflictError("exists")], patch=[{}, NotFoundError("no lease")]
    )
    await Registration(api, {"n": NodeSpec(name="n", labels={"a": "b"})}, 1234).begin()  # type: ignore[arg-type]
    labels, lease, status = api.bodies("patch")
    assert labels["metadata"]["labels"]["a"] == "b"
    assert lease["spec"]["holderIdentity"] == "n"
    assert api.paths("create") == ["/api/v1/nodes", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"]
    assert api.paths("patch")[-1] == "/api/v1/nodes/n/status"
    assert status["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert datetime.fromisoformat(status["status"]["conditions"][0]["lastHeartbeatTime"]) <= datetime.now(UTC)


def node(name: str, *, ready: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


async def test_a_node_that_is_taken_for_dead_is_reported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixserve_devcluster.node.registration._RENEWAL_S", 0.0)
    unready = {"items": [node("well", ready="True"), node("lost", ready="Unknown"), node("other", ready="Unknown")]}
    api = FakeApi(get=[{"items": [node("well", ready="True")]}, ApiError("away"), unready, asyncio.CancelledError()])
    registration = Registration(api, {name: NodeSpec(name=name) for name in ("well", "lost", "new")}, None)  # type: ignore[arg-type]
    with contextlib.suppress(asyncio.CancelledError):
        await registration.keep()
    reported = [(path, body) for method, path, body in api.calls if method == "patch" and path.endswith("/status")]
    ((path, body),) = reported
    assert path == "/api/v1/nodes/lost/status"
    assert {each["type"]: each["status"] for each in body["status"]["conditions"]}["Ready"] == "True"
