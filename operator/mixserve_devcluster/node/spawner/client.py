"""The node's end of the spawner.

SpawnError: a process was not started; the message says why.
`- SpawnerGoneError: the spawner has ended, and with it every process; nothing can be started any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn, Self

from mixserve_devcluster.node.spawner.messages import encode_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mixserve_devcluster.node.spawner.messages import Program

# Linux lets one argument or environment entry have 128 KiB and all of them together 2 MiB (by default).
_LONGEST_LINE = 8 << 20
_ENDED = "the spawner has ended, and all processes with it"


class SpawnError(Exception):
    """A process was not started."""


class SpawnerGoneError(SpawnError):
    """The spawner has ended, and with it every process."""


class Process:
    """A process that runs or has run.

    Attributes:
        pid: its process id on the host.
        exit_code: a future of its exit code; 128 + n if signal n ended it.
    """

    def __init__(self, pid: int, spawner: Spawner) -> None:
        self.pid = pid
        self.exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._spawner = spawner

    @property
    def is_running(self) -> bool:
        """Whether its end has not been reported yet."""
        return not self.exit_code.done()

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        return await asyncio.shield(self.exit_code)

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        self._spawner.signal(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process and all that it has started."""
        self._spawner.signal(self.pid, signal.SIGKILL)


class Spawner:
    """Starts processes that end with this one; made by `Spawner.run`.

    Attributes:
        isolated: whether the processes have mounts and a process namespace of their own.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count()
        self._answers: dict[int, asyncio.Future[Process]] = {}
        self._running: dict[int, Process] = {}
        self._listener: asyncio.Task[None] | None = None
        self.isolated = False

    @classmethod
    @contextlib.asynccontextmanager
    async def run(cls, *, isolated: bool = True) -> AsyncIterator[Self]:
        """Run a spawner; every process that it has started is gone when the context has been left.

        Args:
            isolated: give the processes namespaces of their own, if this user may make them.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "mixserve_devcluster.node.spawner.server"),
                *(str(theirs.fileno()), "isolated" if isolated else "shared"),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        spawner = cls(*await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE))
        spawner.isolated = (await spawner._receive())["isolated"]
        spawner._listener = asyncio.create_task(spawner._listen())
        try:
            yield spawner
        finally:
            spawner._writer.close()
            await process.wait()
            await asyncio.wait([spawner._listener])

    async def watch(self) -> NoReturn:
        """Wait until the spawner ends although it is needed.

        Raises:
            SpawnerGoneError: it has ended, or is not understood any more.
        """
        assert self._listener is not None
        await asyncio.wait([self._listener])
        error = self._listener.exception()
        raise SpawnerGoneError(_ENDED if error is None else f"{_ENDED}: {error!r}") from error

    async def start(self, program: Program) -> Process:
        """Start a program.

        Raises:
            SpawnError: it cannot be started.
        """
        number = next(self._ids)
        self._send({"id": number, "start": program.encode()})
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            # Unlike `await answer`, this leaves the answer to come if the caller is cancelled meanwhile.
            await asyncio.wait([answer])
        except asyncio.CancelledError:
            answer.add_done_callback(_end_unwanted)
            raise
        return answer.result()

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process that was started here; nothing happens if it has ended."""
        with contextlib.suppress(SpawnError):  # the spawner has killed it before ending
            self._send({"id": next(self._ids), "signal": number, "pid": pid})

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer.is_closing():
            raise SpawnerGoneError(_ENDED)
        self._writer.write(encode_line(message))

    async def _receive(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line:
            raise SpawnerGoneError(_ENDED)
        content: dict[str, Any] = json.loads(line)
        return content

    async def _listen(self) -> None:
        try:
            with contextlib.suppress(SpawnerGoneError, ConnectionError):
                while True:
                    self._dispatch(await self._receive())
        finally:
            self._give_up()

    def _give_up(self) -> None:
        """Hear nothing more; the spawner ends its processes when it is hung up on, if it has not ended itself."""
        self._writer.close()
        for answer in self._answers.values():
            answer.set_exception(SpawnerGoneError(_ENDED))
        for process in self._running.values():
            process.exit_code.set_result(128 + signal.SIGKILL)

    def _dispatch(self, message: dict[str, Any]) -> None:
        if "exited" in message:
            self._running.pop(message["exited"]).exit_code.set_result(message["code"])
        elif answer := self._answers.pop(message["id"], None):
            if "error" in message:
                answer.set_exception(SpawnError(message["error"]))
            else:
                process = self._running[message["pid"]] = Process(message["pid"], self)
                answer.set_result(process)


def _end_unwanted(answer: asyncio.Future[Process]) -> None:
    """End a process whose start was answered when nobody waited for it any more."""
    if answer.exception() is None:
        answer.result().kill()
