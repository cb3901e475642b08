from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.node.running_container import RunningContainer
from mixserve_devcluster.node.spawner.client import Process
from mixserve_devcluster.node.spawner.messages import Program

if TYPE_CHECKING:
    import signal


class FakeSpawner:
    """Says that it starts commands, and ends none of itself."""

    def __init__(self, output: str) -> None:
        self.started: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._output = output

    async def start(self, program: Program) -> Process:
        await asyncio.to_thread(Path(program.output).write_text, self._output)
        self.started.set_result(Process(7, self))  # type: ignore[arg-type]
        return self.started.result()

    def signal(self, pid: int, number: signal.Signals) -> None:
        pass


@pytest.fixture
async def spawner() -> FakeSpawner:
    return FakeSpawner("what it says")


@pytest.fixture
async def container(spawner: FakeSpawner, tmp_path: Path) -> RunningContainer:
    services = SimpleNamespace(spawner=spawner, http=None)
    return RunningContainer(
        spec={},
        pod=SimpleNamespace(directory=tmp_path, services=services, address="127.9.0.1"),  # type: ignore[arg-type]
        program=Program(argv=[], environment={}, directory="/", output="/dev/null"),
        process=SimpleNamespace(pid=1),  # type: ignore[arg-type]
        record=lambda *_: None,
        changed=lambda: None,
    )


@pytest.mark.parametrize("turns", range(6))
async def test_a_command_that_ends_as_it_is_cancelled_is_cancelled(
    container: RunningContainer, spawner: FakeSpawner, turns: int
) -> None:
    executing = asyncio.create_task(container.execute(["true"], 60))
    command = await spawner.started
    await asyncio.sleep(0)  # now it is waited for
    command.exit_code.set_result(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    if executing.cancel():
        await asyncio.wait([executing])
        assert executing.cancelled()
    else:
        assert (await executing).message == "what it says"
