"""A pod that the local node cannot cope with has an end like any other; with fakes of what it runs on."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.node.addresses import AddressPool
from mixserve_devcluster.node.images import ImageStore
from mixserve_devcluster.node.local_pod import LocalPod
from mixserve_devcluster.node.logs import LogDirectory
from mixserve_devcluster.node.services import NodeIdentity
from support.fake_api_server import FakeApi
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mixserve_devcluster.node.spawner.messages import Program


class FakeProcess:
    """Runs until it is killed."""

    pid = 1

    def __init__(self) -> None:
        self.was_killed = asyncio.Event()

    async def wait(self) -> int:
        await self.was_killed.wait()
        return 137

    @property
    def is_running(self) -> bool:
        return not self.was_killed.is_set()

    def kill(self) -> None:
        self.was_killed.set()

    terminate = kill


class FakeSpawner:
    """Starts nothing, and remembers what it should have started."""

    isolated = False

    def __init__(self) -> None:
        self.processes: list[FakeProcess] = []

    async def start(self, _: Program) -> FakeProcess:
        self.processes.append(FakeProcess())
        return self.processes[-1]


@pytest.fixture
def services(tmp_path: Path) -> SimpleNamespace:
    """What pods run on, without a node."""
    images = ImageStore([], tmp_path / "images")
    images.write()
    return SimpleNamespace(
        api=FakeApi(),
        spawner=FakeSpawner(),
        images=images,
        events=SimpleNamespace(record=lambda _: None),
        logs=LogDirectory(tmp_path / "logs"),
        addresses=AddressPool(IPv4Network("127.9.0.0/30")),
        http=None,
        work_directory=tmp_path,
        host_environment={"PATH": "/bin"},
        service_environment={},
        time_factor=1.0,
    )


def manifest(*names: str, **metadata: Any) -> dict[str, Any]:
    main = {"image": "local/shell:1", "command": ["true"]}
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", **metadata},
        "spec": {"containers": [{"name": name, **main} for name in names]},
    }


def local_pod(services: SimpleNamespace, content: dict[str, Any]) -> LocalPod:
    node = NodeIdentity(name="n", address="127.0.0.1", labels={}, allocatable={})
    return LocalPod(content, node, services)  # type: ignore[arg-type]


def phase(services: SimpleNamespace) -> str:
    return str(last_status(services).get("phase", ""))


def last_status(services: SimpleNamespace) -> dict[str, Any]:
    return dict(services.api.bodies("patch")[-1]["status"]) if services.api.bodies("patch") else {}


def failing_from(call: int, find: Callable[[str], Any]) -> Callable[[str], Any]:
    """A look-up of images that meets something unheard-of in its call of this number, and then always."""
    calls = iter(range(1, 100))

    def failing(image: str) -> Any:
        if next(calls) >= call:
            raise RuntimeError("unheard-of")
        return find(image)

    return failing


async def test_a_pod_that_is_too_much_is_failed_and_deleted_on_request(
    services: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.images, "find", failing_from(1, services.images.find))
    pod = local_pod(services, manifest("main"))
    async with running(pod.run()) as task:
        await until(lambda: phase(services) == "Failed")
        status = last_status(services)
        problem = "the local node cannot go on with this pod: RuntimeError('unheard-of')"
        assert (status["reason"], status["message"]) == ("LocalNodeError", problem)
        assert services.api.paths("delete") == []
        pod.update(manifest("main", deletionTimestamp="2026-01-02T03:04:05Z"))
        await asyncio.wait_for(task, 5)
    assert services.api.paths("delete") == ["/api/v1/namespaces/ns/pods/p"]


async def test_nothing_of_it_runs_on(services: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.images, "find", failing_from(2, services.images.find))
    pod = local_pod(services, manifest("good", "bad"))
    async with running(pod.run()) as task:
        await until(lambda: phase(services) == "Failed")
        assert not any(process.is_running for process in services.spawner.processes)
        for container in last_status(services)["containerStatuses"]:
            assert "running" not in container["state"]
            assert not container["ready"]
        assert pod.running_id("good") is None
        pod.vanish()
        await asyncio.wait_for(task, 5)
    assert services.api.paths("delete") == []


async def test_a_log_that_cannot_be_begun_is_waited_for(
    services: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixserve_devcluster.node.container._RETRY_S", 0.01)
    (tmp_path / "logs").touch()
    async with running(local_pod(services, manifest("main")).run()):
        await until(lambda: "waiting" in str(last_status(services)) and "Not a directory" in str(last_status(services)))
        waiting = last_status(services)["containerStatuses"][0]["state"]["waiting"]
        assert waiting["reason"] == "CreateContainerConfigError"
        (tmp_path / "logs").unlink()
        await until(lambda: phase(services) == "Running")
