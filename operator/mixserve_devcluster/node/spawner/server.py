"""The spawner's process: `python -m mixserve_devcluster.node.spawner.server DESCRIPTOR isolated|shared`.

DESCRIPTOR is the inherited socket to the node; "isolated" asks for namespaces, where this user may make them.
At the socket's end of file, that is when the node has ended for whatever reason, everything that was started is
killed. If the spawner itself is killed, the kernel kills its children.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from mixserve_devcluster.node.spawner import syscalls
from mixserve_devcluster.node.spawner.messages import Program, encode_line
from mixserve_devcluster.node.spawner.namespaces import ProcessNamespaces, isolate
from mixserve_devcluster.node.spawner.outputs import Outputs
from mixserve_devcluster.node.spawner.view import join_view, new_view

# What a shell reports for a process ended by signal n is 128 + n; container runtimes do the same.
_SIGNAL_EXIT_BASE = 128


class StartError(Exception):
    """A process could not be started; the message says why."""


class Server:
    """Starts, signals and reaps processes for the node at the other end of `channel`."""

    def __init__(self, channel: socket.socket, namespaces: ProcessNamespaces | None) -> None:
        self._channel = channel
        self._namespaces = namespaces
        self._selector = selectors.DefaultSelector()
        self._outputs = Outputs(self._selector)
        self._children: dict[int, int] = {}  # with the pipe that each writes to

    def serve(self) -> None:
        """Answer requests until the node has gone, then kill every process."""
        wakeup, requests = _wake_up_for_children(), _Lines(self._channel)
        self._selector.register(self._channel, selectors.EVENT_READ, lambda: self._answer_all(requests.read()))
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: self._reap(wakeup))
        try:
            # The node being killed in the middle of an answer is one way to reach the end of file.
            with contextlib.suppress(ConnectionError):
                self._send({"isolated": self._namespaces is not None})
                while not requests.ended:
                    for key, _ in self._selector.select():
                        key.data()
        finally:
            self._kill_all()

    def _answer_all(self, lines: list[bytes]) -> None:
        for line in lines:
            self._answer(json.loads(line))

    def _answer(self, request: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            if "start" in request:
                answer["pid"] = self._start(Program.decode(request["start"]))
            else:
                answer["pid"] = self._signal(request["pid"], request["signal"])
        except (StartError, OSError) as error:
            answer["error"] = str(error)
        self._send(answer)

    def _send(self, message: dict[str, Any]) -> None:
        self._channel.sendall(encode_line(message))

    def _start(self, program: Program) -> int:
        output, output_writer = self._outputs.open(program.output, program.older_output)
        reader, writer = os.pipe()  # closed by exec, so its end of file means success
        try:
            pid = self._fork(program.join)
            if pid == 0:
                self._become(program, output_writer, writer)
        except (StartError, OSError):
            os.close(reader)
            self._outputs.close(output)
            raise
        finally:
            os.close(writer)
            os.close(output_writer)
        with os.fdopen(reader, "rb") as failures:
            failure = failures.read().decode(errors="replace")
        if failure:
            os.waitpid(pid, 0)
            self._outputs.close(output)
            raise StartError(failure)
        self._children[pid] = output
        return pid

    def _fork(self, join: int | None) -> int:
        if join is not None and join not in self._children:
            raise StartError("the container is not running")
        if self._namespaces is None:
            return os.fork()
        return self._namespaces.fork_into_new() if join is None else self._namespaces.fork_into(join)

    def _become(self, program: Program, output: int, failures: int) -> NoReturn:
        try:
            syscalls.die_with_parent()
            os.setsid()
            _reset_signals()
            _redirect(output)
            self._enter_view(program)
            _execute(program)
        except (OSError, ValueError, StartError) as error:  # ValueError: a null byte in an argument
            os.write(failures, str(error).encode())
        finally:
            os._exit(127)

    def _enter_view(self, program: Program) -> None:
        if self._namespaces is None:
            os.chdir(program.directory)
        elif program.join is None:
            new_view(program.mounts, program.directory, program.stage)
        else:
            join_view(program.join, program.directory)

    def _signal(self, pid: int, number: int) -> int:
        """Send a signal to a process, SIGKILL to its whole group; a process that has ended is left alone."""
        if pid in self._children:
            if number == signal.SIGKILL:
                syscalls.kill_group(pid, number)
            else:
                os.kill(pid, number)
        return pid

    def _reap(self, wakeup: socket.socket) -> None:
        """Report the children that have ended. What they leave behind in their group ends with them."""
        wakeup.recv(4096)
        while (ended := _ended_child()) is not None:
            syscalls.kill_group(ended, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(ended, 0)[1])
            if ended in self._children:
                self._outputs.drain(self._children.pop(ended))
                self._send({"exited": ended, "code": code if code >= 0 else _SIGNAL_EXIT_BASE - code})

    def _kill_all(self) -> None:
        for pid in self._children:
            syscalls.kill_group(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:  # orphans of those that ended become children of this process
                for pid in _all_children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                os.waitpid(-1, 0)


class _Lines:
    """The lines that come in over a socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._rest = b""
        self.ended = False

    def read(self) -> list[bytes]:
        """Receive once; return what lines are now complete."""
        received = self._channel.recv(1 << 20)
        self.ended = not received
        *lines, self._rest = (self._rest + received).split(b"\n")
        return lines


def _wake_up_for_children() -> socket.socket:
    """A socket that becomes readable when a child has ended."""
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    return reader


def _ended_child() -> int | None:
    try:
        result = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if result is None else result.si_pid


def _all_children() -> list[int]:
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    with contextlib.suppress(FileNotFoundError):  # the kernel has it only if so configured
        return [int(pid) for pid in path.read_text().split()]
    return []


def _reset_signals() -> None:
    """Undo what this interpreter has changed and exec would keep."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _redirect(output: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _execute(program: Program) -> NoReturn:
    try:
        os.execvpe(program.argv[0], program.argv, program.environment)  # noqa: S606 - no shell is wanted
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StartError(f'exec: "{program.argv[0]}": executable file not found in $PATH') from error


def main() -> None:
    """Serve the socket that was inherited."""
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        channel.set_inheritable(False)
        # The node's end decides; a signal meant for it must not end the one that cleans up after it.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        syscalls.adopt_orphans()
        isolated = sys.argv[2] == "isolated" and isolate()
        Server(channel, ProcessNamespaces() if isolated else None).serve()


if __name__ == "__main__":
    main()
