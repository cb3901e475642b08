"""Child processes that never outlive this one, each with its output in a log file."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import signal
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from mixserve_devcluster import guard
from mixserve_devcluster.errors import PlatformError, ProcessError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class GuardedProcess:
    """A running child; the kernel kills it when this process dies, even by SIGKILL.

    It leads its own session, so that Ctrl-C in a terminal reaches this process only, which then stops its
    children in order.
    """

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self._popen = popen

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> GuardedProcess:
        """Start `command` in `directory`, appending its stdout and stderr to `log_file`."""
        with log_file.open("ab") as log:
            popen = _launcher().submit(
                subprocess.Popen,
                guarded(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
            return cls(name, popen.result(), log_file)

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[GuardedProcess]:
        """Start a process as `start` does, and kill it if it still runs at the end of the context."""
        process = cls.start(name, command, log_file=log_file, environment=environment)
        try:
            yield process
        finally:
            kill_all([process])

    @property
    def pid(self) -> int:
        """The process id, the same before and after the guard became the program."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def ensure_running(self) -> None:
        """Raise ProcessError with the end of the log if the process has ended."""
        if self.exit_code is not None:
            raise ProcessError(f"{self.name} {_ending(self.exit_code)}; the end of {self.log_file}:\n{self.log_tail()}")

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        with self.log_file.open(errors="replace") as log:
            return "".join(deque(log, maxlen=lines)).rstrip()

    def wait(self, timeout_s: float | None) -> int | None:
        """Wait for the end, at most `timeout_s` seconds; return the exit code, or None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout_s)
        return self._popen.returncode

    def stop(self, grace_s: float) -> None:
        """Ask the process to stop, and kill it after `grace_s` seconds; it is gone when this returns.

        What it has started is its own to stop in order; only the kill is for all of them.
        """
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(signal.SIGTERM)
        if self.wait(grace_s) is None:
            kill_all([self])

    def kill(self) -> None:
        """Kill the process and what it has started in its group, without waiting for their end."""
        # Not once its end has been noticed: from then on the kernel may give its number to others.
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)


def kill_all(processes: Iterable[GuardedProcess]) -> None:
    """Kill the processes; they are gone when this returns."""
    doomed = list(processes)
    for process in doomed:
        process.kill()
    for process in doomed:
        process.wait(None)


def guarded(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` so that it dies with the thread that starts it."""
    require_linux()
    return [sys.executable, "-I", "-S", str(Path(guard.__file__)), str(os.getpid()), *command]


def require_linux() -> None:
    """Raise PlatformError where there is no embedded cluster: guards and pods' loopback addresses need Linux."""
    if platform.system() != "Linux":
        raise PlatformError(
            f"the embedded cluster needs Linux, this is {platform.system()}. Here Mixserve runs on kind, with an image "
            "that `make image` builds: docs/install.md has the steps.",
        )


@functools.cache
def _launcher() -> ThreadPoolExecutor:
    # The kernel ties a child to the *thread* that started it; this one lives as long as the interpreter.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="devcluster-launcher")


if hasattr(os, "register_at_fork"):
    # A forked child inherits the executor, but not its thread. (Windows cannot fork, but can import this.)
    os.register_at_fork(after_in_child=_launcher.cache_clear)


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
