"""The spawner with real processes: isolated where this machine permits it, and without namespaces."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.node.spawner.client import Spawner, SpawnerGoneError, SpawnError
from mixserve_devcluster.node.spawner.messages import Mount, Program
from support.plain_pods import processes_with
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and parent-death signals are Linux's")


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Program]:
    """Makes programs that run a shell script."""
    (tmp_path / "stage").mkdir()

    def make(script: str, **fields: Any) -> Program:
        values = {
            "argv": ["sh", "-c", script],
            "environment": {"PATH": os.environ["PATH"]},
            "directory": str(tmp_path),
            "output": str(tmp_path / "log"),
            "stage": str(tmp_path / "stage"),
        }
        return Program(**{**values, **fields})

    return make


@pytest.fixture(params=[True, False], ids=["isolated", "shared"])
async def spawner(request: pytest.FixtureRequest) -> AsyncIterator[Spawner]:
    async with Spawner.run(isolated=request.param) as running:
        yield running


@pytest.fixture
async def isolated() -> AsyncIterator[Spawner]:
    async with Spawner.run() as running:
        if not running.isolated:
            pytest.skip("this user may not make namespaces here")
        yield running


def existing(*paths: str) -> list[str]:
    return [path for path in paths if os.path.lexists(path)]


def own_children(text: str) -> list[int]:
    return [
        pid for pid in processes_with(text) if f"\nPPid:\t{os.getpid()}\n" in Path(f"/proc/{pid}/status").read_text()
    ]


async def test_exit_codes_and_output(spawner: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    process = await spawner.start(program("echo $0; echo error >&2; echo out > /dev/stdout; exit 7"))
    assert await process.wait() == 7
    assert not process.is_running
    assert (tmp_path / "log").read_text() == "sh\nerror\nout\n"


async def test_only_the_given_environment(spawner: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ONE": "1"}
    await (await spawner.start(program("env", environment=environment))).wait()
    seen = {line.partition("=")[0] for line in (tmp_path / "log").read_text().splitlines()}
    assert seen - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "ONE"}


async def test_signals(spawner: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    process = await spawner.start(program("trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"))
    await asyncio.to_thread(eventually, lambda: "up" in (tmp_path / "log").read_text(), "first line")
    process.terminate()
    assert await process.wait() == 5
    process = await spawner.start(program("sleep 1000"))
    process.kill()
    assert await process.wait() == 128 + signal.SIGKILL
    process.kill()  # of one that has ended does nothing


async def test_what_cannot_be_started(spawner: Spawner, program: Callable[..., Program]) -> None:
    with pytest.raises(SpawnError, match=r'^exec: "none": executable file not found'):
        await spawner.start(program("", argv=["none"]))
    with pytest.raises(SpawnError, match="null byte"):
        await spawner.start(program("\0"))
    with pytest.raises(SpawnError, match="No such file"):
        await spawner.start(program("", output="/none/log"))
    with pytest.raises(SpawnError, match="the container is not running"):
        await spawner.start(program("", join=1))


async def test_who_is_cancelled_leaves_nothing_behind_and_the_others_alone(
    spawner: Spawner, program: Callable[..., Program]
) -> None:
    token = uuid.uuid4().hex
    process = await spawner.start(program("sleep 0.3; exit 5"))
    starting = asyncio.create_task(spawner.start(program(f"sleep 1000; # {token}")))
    await asyncio.sleep(0)  # it has been asked for, but no answer has come
    starting.cancel()
    async with asyncio.timeout(10):
        assert await process.wait() == 5
        await (await spawner.start(program("true"))).wait()
    assert starting.cancelled()
    await asyncio.to_thread(eventually, lambda: not processes_with(token), "end of the process that nobody wants")


async def test_who_is_cancelled_as_the_answer_comes_leaves_nothing_behind(
    spawner: Spawner, program: Callable[..., Program]
) -> None:
    token = uuid.uuid4().hex
    starting = asyncio.create_task(spawner.start(program(f"sleep 1000; # {token}")))
    await asyncio.sleep(0)
    (answer,) = spawner._answers.values()
    answer.add_done_callback(lambda _: starting.cancel())
    await asyncio.wait([starting])
    assert starting.cancelled()
    await asyncio.to_thread(eventually, lambda: not processes_with(token), "end of the process that nobody wants")


async def test_who_is_cancelled_does_not_hear_that_nothing_was_started(
    spawner: Spawner, program: Callable[..., Program]
) -> None:
    starting = asyncio.create_task(spawner.start(program("", argv=["none"])))
    await asyncio.sleep(0)
    starting.cancel()
    await (await spawner.start(program("true"))).wait()
    assert starting.cancelled()


async def test_output_that_cannot_be_written_is_lost_and_nothing_else(
    spawner: Spawner, program: Callable[..., Program], tmp_path: Path
) -> None:
    process = await spawner.start(program("echo lost; exit 3", output="/dev/full"))
    assert await process.wait() == 3
    await (await spawner.start(program("echo kept"))).wait()
    assert (tmp_path / "log").read_text() == "kept\n"


async def test_long_output_is_put_aside(spawner: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    # 4 parts of 9 MB, each in lines of 90 bytes; a file takes 10 MiB.
    script = "line=$(printf '%089d' 0); yes $line | head -n 400000"
    older = tmp_path / "older"
    await (await spawner.start(program(script, older_output=str(older)))).wait()
    assert older.stat().st_size == pytest.approx(10 << 20, abs=1 << 16)
    assert (tmp_path / "log").stat().st_size < 10 << 20
    for file in (older, tmp_path / "log"):
        assert set(file.read_text().splitlines()) == {"0" * 89}
    await (await spawner.start(program(script, output=str(tmp_path / "one")))).wait()
    assert (tmp_path / "one").stat().st_size == pytest.approx(10 << 20, abs=1 << 16)


async def test_joining(spawner: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    process = await spawner.start(program("sleep 1000"))
    output = tmp_path / "joined"
    joined = await spawner.start(program("echo hello; exit 3", join=process.pid, output=str(output)))
    assert await joined.wait() == 3
    assert output.read_text() == "hello\n"
    assert process.is_running


async def test_all_output_is_there_at_the_end(
    spawner: Spawner, program: Callable[..., Program], tmp_path: Path
) -> None:
    # More than a pipe holds.
    size = 500_000
    for number in range(1, 11):
        await (await spawner.start(program(f"head -c {size} /dev/zero"))).wait()
        assert (tmp_path / "log").stat().st_size == number * size


async def test_what_a_process_leaves_behind_ends_with_it(spawner: Spawner, program: Callable[..., Program]) -> None:
    token = uuid.uuid4().hex
    process = await spawner.start(program(f"sh -c 'sleep 1000; # {token}' & sleep 0.1"))
    await process.wait()
    eventually(lambda: not processes_with(token), "end of the background process")


async def test_an_end_is_not_held_up_by_who_keeps_the_output_open(
    spawner: Spawner, program: Callable[..., Program]
) -> None:
    process = await spawner.start(program("setsid sleep 1000 & sleep 0.1"))
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def test_everything_ends_with_the_spawner(program: Callable[..., Program]) -> None:
    token = uuid.uuid4().hex
    for wants_isolation in (True, False):
        async with Spawner.run(isolated=wants_isolation) as spawner:
            process = await spawner.start(program(f"setsid sh -c 'sleep 1000; # {token}' & sleep 1000; # {token}"))
            eventually(lambda: len(processes_with(token)) == 2, "both processes")
        assert await process.wait() == 128 + signal.SIGKILL
        assert not processes_with(token)
        with pytest.raises(SpawnError, match="the spawner has ended"):
            await spawner.start(program(""))


async def test_everything_ends_with_a_killed_spawner(program: Callable[..., Program]) -> None:
    token = uuid.uuid4().hex
    for wants_isolation in (True, False):
        async with Spawner.run(isolated=wants_isolation) as spawner:
            # Without namespaces the kernel ends what the spawner has started, but not what that has started.
            process = await spawner.start(program(f"while :; do sleep 1; done # {token}"))
            (server,) = own_children("spawner.server")
            os.kill(server, signal.SIGKILL)
            assert await process.wait() == 128 + signal.SIGKILL
            await asyncio.to_thread(eventually, lambda: not processes_with(token), "end of the process")


async def test_the_end_of_the_spawner_is_noticed(program: Callable[..., Program]) -> None:
    async with Spawner.run() as spawner:
        watching = asyncio.create_task(spawner.watch())
        await spawner.start(program("sleep 1000"))
        assert not watching.done()
        (server,) = own_children("spawner.server")
        os.kill(server, signal.SIGKILL)
        with pytest.raises(SpawnerGoneError, match="the spawner has ended, and all processes with it"):
            await asyncio.wait_for(watching, 10)


async def test_a_spawner_that_is_not_understood_is_as_good_as_gone(program: Callable[..., Program]) -> None:
    async with Spawner.run() as spawner:
        process = await spawner.start(program("sleep 1000"))
        spawner._reader.feed_data(b"no JSON\n")
        with pytest.raises(SpawnerGoneError) as gone:
            await asyncio.wait_for(spawner.watch(), 10)
        assert isinstance(gone.value.__cause__, ValueError)
        assert await process.wait() == 128 + signal.SIGKILL


async def test_mounts(isolated: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    volume, file = tmp_path / "volume", tmp_path / "file"
    volume.mkdir()
    (volume / "data").write_text("in volume\n")
    file.write_text("a file\n")
    top = f"/mixserve-{uuid.uuid4().hex}"
    mounts = [
        Mount(source=str(volume), target=f"{top}/a/b", read_only=False),
        Mount(source=str(volume), target=f"{top}/a/read-only", read_only=True),
        Mount(source=str(file), target="/dev/mixserve-test-log", read_only=False),
        Mount(source=str(volume), target="/etc/mixserve-test/deep", read_only=False),
        Mount(source=str(file), target=f"{top}/a/b/nested", read_only=True),
    ]
    script = (
        f"cat {top}/a/b/data {top}/a/b/nested /etc/mixserve-test/deep/data; echo words > /dev/mixserve-test-log; "
        f"echo new > {top}/a/b/new; (echo no > {top}/a/read-only/no) 2> /dev/null || echo refused; "
        "test -e /etc/passwd && test -e /dev/null && pwd; ls /proc | grep -c '^[0-9]'"
    )
    process = await isolated.start(program(script, mounts=mounts, directory="/made/here"))
    assert await process.wait() == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:5] == ["in volume", "a file", "in volume", "refused", "/made/here"]
    assert int(lines[5]) <= 4  # it sees its own processes only
    assert file.read_text() == "words\n"
    assert (volume / "new").read_text() == "new\n"
    assert not existing(top, "/etc/mixserve-test", "/made", "/dev/mixserve-test-log")


async def test_joining_shares_the_view(isolated: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("shared\n")
    mounts = [Mount(source=str(tmp_path), target="/mixserve-joined", read_only=True)]
    process = await isolated.start(program("exec sleep 1000", mounts=mounts, directory="/made/here"))
    output = tmp_path / "joined"
    script = "pwd; cat /mixserve-joined/data; cat /proc/1/comm"
    joined = await isolated.start(program(script, join=process.pid, output=str(output), directory="/made/here"))
    assert await joined.wait() == 0
    assert output.read_text() == "/made/here\nshared\nsleep\n"


async def test_mounts_that_do_not_work(isolated: Spawner, program: Callable[..., Program], tmp_path: Path) -> None:
    missing = Mount(source=str(tmp_path / "none"), target="/x", read_only=True)
    with pytest.raises(SpawnError, match="No such file"):
        await isolated.start(program("", mounts=[missing]))
    wrong = Mount(source=str(tmp_path), target="/etc/passwd", read_only=True)
    with pytest.raises(SpawnError, match="/etc/passwd is no directory here"):
        await isolated.start(program("", mounts=[wrong]))


def test_everything_ends_with_a_killed_node(tmp_path: Path) -> None:
    token = uuid.uuid4().hex
    node = f"""
import asyncio
from mixserve_devcluster.node.spawner.client import Spawner
from mixserve_devcluster.node.spawner.messages import Program
async def main():
    async with Spawner.run() as spawner:
        script = "setsid sh -c 'sleep 1000; # {token}' & sleep 1000; # {token}"
        await spawner.start(Program(argv=["sh", "-c", script], environment={{"PATH": {os.environ["PATH"]!r}}},
            directory={str(tmp_path)!r}, output={str(tmp_path / "log")!r}, stage={str(tmp_path)!r}))
        await asyncio.sleep(1000)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", node]) as process:
        eventually(lambda: len(processes_with(f"# {token}")) >= 3, "the node and both processes")
        process.kill()
    eventually(lambda: not processes_with(token), "end of all processes")
