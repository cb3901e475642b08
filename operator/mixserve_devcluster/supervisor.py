"""A cluster in the background: a process of its own session that runs it until it is told to stop.

Run as `python -m mixserve_devcluster.supervisor NAME [NODE_CONFIG]`, which `start` does.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mixserve_devcluster import records
from mixserve_devcluster.cluster import Cluster, ended_by_signals, locked
from mixserve_devcluster.default_nodes import default_nodes
from mixserve_devcluster.errors import ClusterError, DevClusterError

if TYPE_CHECKING:
    from mixserve_devcluster.records import ClusterPaths, Record

_POLL_S = 0.05
# Stopping takes 10 s at most for the node; then the control plane is killed.
_STOP_S = 20.0


def start(name: str, node_config: Path | None) -> None:
    """Start a cluster in the background, with the default nodes if no file names others; return when it is ready.

    Raises:
        ClusterError: it did not come up; with what the supervisor said.
    """
    paths = records.ClusterPaths(name=name)
    pid, words = _spawn(paths, node_config)
    with words:
        try:
            _wait_until_ready(paths, pid, words)
        except KeyboardInterrupt:
            # It has its own session: the terminal's Ctrl-C reached this process only.
            os.kill(pid, signal.SIGTERM)
            raise


def wait_until_up(name: str) -> None:
    """Wait for a cluster that another process is bringing up.

    Raises:
        ClusterError: it did not come up.
    """
    paths = records.ClusterPaths(name=name)
    while (record := records.read(paths)) is not None and record.alive:
        if record.ready:
            return
        time.sleep(_POLL_S)
    raise ClusterError(
        f"cluster {name!r} was being started and did not come up, and whoever started it was told why; "
        f"try again: mixserve dev up --name {name}"
    )


def stop(name: str) -> bool:
    """Stop a cluster, wherever it runs, and remove what it leaves; return whether it ran.

    Raises:
        ClusterError: there is no such cluster, or somebody starts it again at the same time.
    """
    paths, record = records.find(name)
    ran = record.alive
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_and_wait(record, number)
    with locked(paths):
        records.remove(paths)
        paths.supervisor_log.unlink(missing_ok=True)
    return ran


def main() -> None:
    """Run the cluster that the arguments name; exit with 1 and a message if it does not come up or breaks."""
    name, *rest = sys.argv[1:]
    nodes = Path(rest[0]) if rest else default_nodes()
    log = functools.partial(_log_to, records.ClusterPaths(name=name).supervisor_log)
    try:
        with ended_by_signals(), Cluster.start(name, node_config=nodes, when_locked=log) as cluster:
            cluster.run_until_stopped()
    except DevClusterError as error:
        sys.exit(f"error: {error}")


def _log_to(path: Path) -> None:
    """From now on, write what this process says to an empty file.

    Not before the cluster's name is ours: until then the file may be that of a cluster that runs.
    """
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)


def _spawn(paths: ClusterPaths, node_config: Path | None) -> tuple[int, BinaryIO]:
    """Start a supervisor that outlives this process; return its pid, and what it says until it has its log."""
    arguments = [paths.name, *([str(node_config.resolve())] if node_config else [])]
    reading, writing = os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "mixserve_devcluster.supervisor", *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_DUP2, writing, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(writing)
    return pid, os.fdopen(reading, "rb")


def _wait_until_ready(paths: ClusterPaths, pid: int, words: BinaryIO) -> None:
    while not _is_ready(paths, pid):
        # The supervisor has its own deadlines; here is only noticed whether it has ended.
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            raise ClusterError(f"cluster {paths.name!r} did not come up (exit code {code}):\n{_said(paths, words)}")
        time.sleep(_POLL_S)


def _said(paths: ClusterPaths, words: BinaryIO) -> str:
    """What a supervisor that has ended said last: in its log, or before it had one."""
    early = words.read()
    with contextlib.suppress(FileNotFoundError):
        early = early or paths.supervisor_log.read_bytes()
    return early.decode(errors="replace").strip()


def _is_ready(paths: ClusterPaths, pid: int) -> bool:
    record = records.read(paths)
    return record is not None and record.pid == pid and record.ready


def _signal_and_wait(record: Record, number: signal.Signals) -> None:
    deadline = time.monotonic() + _STOP_S
    if record.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, number)
    while record.alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main()
