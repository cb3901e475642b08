"""The Job that reads a volume, with an API server that says what a test wants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.apply.errors import Conflict, Forbidden, NotFound, Unavailable
from mixserve.controller.checkpoints import volume_source
from mixserve.controller.checkpoints.volume_source import VolumeSource
from mixserve.plan.absence import Outlook
from mixserve.plan.model_source import Repository
from support.manifests import pool as made

if TYPE_CHECKING:
    from mixserve.apply.resources import Resource

REPOSITORY = Repository("pvc://models/llama")
CONFIG = {"model_type": "llama"}
DONE = [{"type": "Complete", "status": "True"}]
FAILED = [{"type": "Failed", "status": "True"}]
LATE = [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]


def pool() -> Any:
    parsed = made(model={"source": "pvc://models/llama"})
    return parsed.model_copy(update={"metadata": parsed.metadata.model_copy(update={"namespace": "ns", "uid": "u"})})


class Server:
    """Reads and writes of one Job: `ends` are its conditions at each look, the last ones again and again."""

    def __init__(
        self,
        *,
        claim: Any = None,
        ends: list[Any] | None = None,
        log: Any = None,
        pods: list[dict[str, Any]] | None = None,
        there: bool = False,
    ) -> None:
        self.claim = {"status": {"phase": "Bound"}} if claim is None else claim
        self.ends = [[], DONE] if ends is None else ends
        self.log = json.dumps({"config": CONFIG}) if log is None else log
        self.pods = [pod("p")] if pods is None else pods
        self.there = there
        self.made: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    async def get(self, resource: Resource, *, name: str = "", label_selector: str | None = None, **_: str) -> Any:
        if resource.kind == "PersistentVolumeClaim":
            if isinstance(self.claim, Exception):
                raise self.claim
            return self.claim
        if resource.kind == "Pod":
            assert label_selector == "batch.kubernetes.io/controller-uid=j", "not one of an earlier Job of this name"
            return {"items": self.pods}
        return self._job(name)

    async def create(self, _: Resource, body: dict[str, Any], **__: str) -> Any:
        if self.there:
            self.there = False
            raise Conflict("there", status=409)
        self.made.append(body)
        return self._job(body["metadata"]["name"])

    async def delete(self, _: Resource, *, name: str, **__: str) -> None:
        self.deleted.append(name)

    async def pod_log(self, *_: Any, **__: Any) -> str:
        if isinstance(self.log, Exception):
            raise self.log
        return str(self.log)

    def _job(self, name: str) -> dict[str, Any]:
        conditions = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        return {"metadata": {"name": name, "namespace": "ns", "uid": "j"}, "status": {"conditions": conditions}}


def pod(name: str, created: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": created}, "status": status}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_source, "_LOOK_S", 0.0)


async def read(server: Server) -> Any:
    source = VolumeSource(server, image="mixserve:1")  # type: ignore[arg-type]
    return await source.read(pool(), REPOSITORY, version="")


async def test_what_the_job_prints_is_the_checkpoint() -> None:
    server = Server()
    assert await read(server) == CONFIG
    [job] = server.made
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == [
        *("mixserve", "facts", "/models/models/llama", "--output", "json")
    ]


async def test_other_lines_of_the_log_do_no_harm() -> None:
    assert await read(Server(log=f"warning\n{json.dumps({'config': CONFIG})}\nbye\n")) == CONFIG


async def test_a_job_that_is_at_work_already_is_waited_for() -> None:
    server = Server(there=True, ends=[[], [], DONE])
    assert await read(server) == CONFIG
    assert (server.made, server.deleted) == ([], [])


async def test_a_job_of_an_earlier_try_is_made_anew() -> None:
    server = Server(there=True, ends=[FAILED, [], DONE])
    assert await read(server) == CONFIG
    assert (len(server.made), len(server.deleted)) == (1, 1)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (NotFound("none", status=404), "there is no PersistentVolumeClaim models"),
        ({"status": {"phase": "Pending"}}, "PersistentVolumeClaim models is Pending"),
        ({}, "PersistentVolumeClaim models is Pending"),
        (Forbidden("claims are forbidden", status=403), "the operator may not read pvc://models/llama"),
        (Unavailable("down"), "could not be made: down"),
    ],
)
async def test_a_claim_without_a_volume_gets_no_job(claim: Any, text: str) -> None:
    server = Server(claim=claim)
    found = await read(server)
    assert found.outlook is Outlook.LATER
    assert text in found.detail
    assert server.made == []


WAITS = {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]}
KILLED = {"containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}
UNSCHEDULABLE = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node"}]}


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (Server(ends=[FAILED], log='{"problem": "there is no such directory"}'), "can't be used: there is no such dir"),
        (Server(ends=[FAILED], log=NotFound("gone", status=404)), "did not read pvc://models/llama"),
        (Server(ends=[FAILED], log="Killed"), "did not read pvc://models/llama"),
        (Server(log="{[]}"), "did not read"),
        (Server(log="{" * 10 + "}"), "did not read"),
        (Server(log='{"config": 3}'), "did not read"),
        (Server(ends=[FAILED], pods=[], log=""), "did not read"),
        (Server(ends=[[], FAILED], pods=[pod("a", **KILLED)], log=""), "did not read pvc://models/llama: OOMKilled"),
        (Server(ends=[[], LATE], pods=[pod("a", **WAITS)], log=""), "within 300 s: no such image"),
        (Server(ends=[[], LATE], pods=[pod("a", **UNSCHEDULABLE)], log=""), "within 300 s: no node"),
    ],
)
async def test_a_job_that_fails_is_told(server: Server, text: str) -> None:
    found = await read(server)
    assert found.outlook is Outlook.LATER
    assert text in found.detail


async def test_of_a_volume_that_was_read_nothing_is_kept() -> None:
    source = VolumeSource(Server(), image="mixserve:1")  # type: ignore[arg-type]
    await source.read(pool(), REPOSITORY, version="")
    assert not source._locks, "claims come and go as long as the operator runs"


def test_while_it_is_being_read() -> None:
    source = VolumeSource(Server(), image="mixserve:1")  # type: ignore[arg-type]
    assert source.being_read(REPOSITORY, for_long=False).outlook is Outlook.SOON
    assert source.being_read(REPOSITORY, for_long=True).outlook is Outlook.LATER
