from __future__ import annotations

import asyncio

from mixserve_devcluster.node.termination import Termination


class FakeProcess:
    """Ends at SIGKILL, and some seconds after SIGTERM if it is told to."""

    def __init__(self, ends_after_s: float | None) -> None:
        self.heard: list[str] = []
        self._ends_after_s = ends_after_s
        self._ended = asyncio.Event()

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    def end(self) -> None:
        self._ended.set()

    def terminate(self) -> None:
        self.heard.append("TERM")
        if self._ends_after_s is not None:
            asyncio.get_running_loop().call_later(self._ends_after_s, self.end)

    def kill(self) -> None:
        self.heard.append("KILL")
        self.end()


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def end(process: FakeProcess, grace_s: float, hook_s: float | None = None) -> float:
    """End a process; how long that took. The hook takes `hook_s` seconds."""

    async def pre_stop() -> None:
        process.heard.append("pre-stop")
        await asyncio.sleep(hook_s or 0)
        process.heard.append("hook done")

    began_s = now_s()
    await Termination(process, began_s + grace_s).run(None if hook_s is None else pre_stop)  # type: ignore[arg-type]
    return now_s() - began_s


async def test_a_process_that_ends_in_time_is_not_killed() -> None:
    process = FakeProcess(ends_after_s=0.05)
    assert await end(process, grace_s=30, hook_s=0) < 2
    assert process.heard == ["pre-stop", "hook done", "TERM"]


async def test_two_seconds_are_left_even_if_the_hook_took_all() -> None:
    process = FakeProcess(ends_after_s=None)
    took_s = await end(process, grace_s=0.1, hook_s=60)
    assert process.heard == ["pre-stop", "TERM", "KILL"]
    assert 2 <= took_s < 4


async def test_no_hook_without_grace() -> None:
    process = FakeProcess(ends_after_s=0)
    await end(process, grace_s=0, hook_s=0)
    assert process.heard == ["TERM"]


async def test_a_process_that_ends_during_the_hook_is_not_waited_for() -> None:
    process = FakeProcess(ends_after_s=None)
    asyncio.get_running_loop().call_later(0.05, process.end)
    assert await end(process, grace_s=30, hook_s=30) < 5
    assert process.heard == ["pre-stop"]


async def test_a_nearer_deadline_hurries_and_a_later_one_does_not_delay() -> None:
    process = FakeProcess(ends_after_s=None)
    began_s = now_s()
    termination = Termination(process, began_s + 60)  # type: ignore[arg-type]
    running = asyncio.create_task(termination.run(None))
    await asyncio.sleep(0)
    assert process.heard == ["TERM"]
    termination.hurry(began_s + 1)
    termination.hurry(began_s + 100)
    await running
    assert process.heard == ["TERM", "KILL"]
    assert 2 <= now_s() - began_s < 5
