from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mixserve.apply.errors import NotFound
from mixserve.observe import crash_logs
from mixserve.observe.crash_logs import CrashLogs
from support.kube_objects import pod
from support.waiting_in_loop import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

CRASHED = {"name": "engine", "ready": False, "restartCount": 1}
WAITING = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}


class Logs:
    """Stands for the API server: answers each call for a log (`texts` by `previous`), and notes what was asked."""

    def __init__(self, texts: dict[str, str] | None = None) -> None:
        self.texts = {"true": "the end"} if texts is None else texts
        self.asked: list[dict[str, str]] = []

    async def pod_log(self, _: object, *, namespace: str, name: str, query: dict[str, str]) -> str:
        self.asked.append({"pod": f"{namespace}/{name}", **query})
        if query["previous"] not in self.texts:
            raise NotFound("gone", status=404)
        return self.texts[query["previous"]]


def crash_reader(logs: Logs, *, read: Callable[[Mapping[str, Any]], None] = lambda _: None) -> CrashLogs:
    return CrashLogs(logs, read=read)


def crashing(**changes: Any) -> dict[str, Any]:
    return pod(ready=False, containers=[{**CRASHED, **WAITING, **changes}])


JUST_ENDED = crashing(state={"terminated": {"exitCode": 1}}, restartCount=0)


async def test_the_log_of_a_crash_is_read_once() -> None:
    logs = Logs()
    reader = crash_reader(logs)
    assert await reader.tail(crashing()) == "the end"
    assert await reader.tail(crashing()) == "the end"
    assert logs.asked == [
        {
            "pod": "ns/p-0",
            "container": "engine",
            "previous": "true",
            "tailLines": str(crash_logs.TAIL_LINES),
            "limitBytes": str(crash_logs.MAX_LOG_BYTES),
        }
    ]


async def test_the_next_crash_is_read_again() -> None:
    logs = Logs()
    reader = crash_reader(logs)
    await reader.tail(crashing())
    logs.texts["true"] = "another end"
    assert await reader.tail(crashing(restartCount=2)) == "another end"


async def test_of_a_container_that_is_restarted_meanwhile_the_log_of_its_end_is_found() -> None:
    logs = Logs({"false": "", "true": "why it ended"})
    assert await crash_reader(logs).tail(JUST_ENDED) == "why it ended"


async def test_of_a_container_that_has_just_ended_the_end_comes_last() -> None:
    assert await crash_reader(Logs({"false": "why it ended"})).tail(JUST_ENDED) == "why it ended"
    logs = Logs({"false": "why it ended", "true": "earlier, "})
    assert await crash_reader(logs).tail(JUST_ENDED) == "earlier, why it ended"


async def test_a_log_that_cannot_be_read_is_not_asked_for_again() -> None:
    logs = Logs({})
    reader = crash_reader(logs)
    assert await reader.tail(crashing()) == ""
    assert await reader.tail(crashing()) == ""
    assert len(logs.asked) == 1


async def test_the_end_of_a_long_log_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_logs, "MAX_TAIL_CHARACTERS", 3)
    assert await crash_reader(Logs({"true": "long log"})).tail(crashing()) == "log"


async def test_pods_that_run_or_go_have_no_crash() -> None:
    logs = Logs()
    reader = crash_reader(logs)
    assert await reader.tail(pod()) == ""
    assert await reader.tail(crashing() | {"metadata": {**pod()["metadata"], "deletionTimestamp": "now"}}) == ""
    assert logs.asked == []


async def test_a_pod_that_is_gone_is_forgotten() -> None:
    logs = Logs()
    reader = crash_reader(logs)
    await reader.tail(crashing())
    reader.forget("uid-p-0")
    await reader.tail(crashing())
    assert len(logs.asked) == 2


class SlowLogs(Logs):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def pod_log(self, _: object, *, namespace: str, name: str, query: dict[str, str]) -> str:
        await self.answers.wait()
        return await super().pod_log(_, namespace=namespace, name=name, query=query)


async def test_a_kubelet_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_logs, "_LONGEST_WAIT_S", 0.01)
    logs, late = SlowLogs(), list[str]()
    reader = crash_reader(logs, read=lambda pod: late.append(pod["metadata"]["name"]))
    assert await reader.tail(crashing()) == ""
    # Nobody waits a second time.
    assert await reader.tail(crashing()) == ""
    logs.answers.set()
    await until(lambda: late == ["p-0"])
    assert await reader.tail(crashing()) == "the end"
    assert len(logs.asked) == 1


async def test_a_log_of_a_pod_that_is_gone_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_logs, "_LONGEST_WAIT_S", 0.01)
    logs, late = SlowLogs(), list[object]()
    reader = crash_reader(logs, read=late.append)
    await reader.tail(crashing())
    [(_, task)] = reader._tails.values()
    reader.forget("uid-p-0")
    await until(task.done)
    assert (late, task.cancelled()) == ([], True)
