"""A cluster in the background: a process of its own session that runs it until it is told to stop.

Run as `python -m mixserve_devcluster.supervisor NAME [NODE_CONFIG]`, which `start` does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

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
    pid = _spawn(paths, node_config)
    try:
        _wait_until_ready(paths, pid)
    except KeyboardInterrupt:
        # It has its own session: the terminal's Ctrl-C reached this process only.
        os.kill(pid, signal.SIGTERM)
        raise


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
    try:
        with ended_by_signals(), Cluster.start(name, node_config=nodes) as cluster:
            cluster.run_until_stopped()
    except DevClusterError as error:
        sys.exit(f"error: {error}")


def _spawn(paths: ClusterPaths, node_config: Path | None) -> int:
    """Start a supervisor that outlives this process; return its pid."""
    paths.supervisor_log.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(paths.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    arguments = [paths.name, *([str(node_config.resolve())] if node_config else [])]
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "mixserve_devcluster.supervisor", *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(log)


def _wait_until_ready(paths: ClusterPaths, pid: int) -> None:
    while not _is_ready(paths, pid):
        # The supervisor has its own deadlines; here is only noticed whether it has ended.
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            said = paths.supervisor_log.read_text(errors="replace").strip()
            raise ClusterError(f"cluster {paths.name!r} did not come up (exit code {code}):\n{said}")
        time.sleep(_POLL_S)


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
