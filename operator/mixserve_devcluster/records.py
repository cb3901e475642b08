"""Which clusters this user has: a directory each, with a record of the process that runs it.

`<clusters>/<name>/cluster.json` is the record, `<clusters>/<name>.lock` is held while the cluster runs, and
`<clusters>/<name>.log` is what a supervisor in the background says.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import platformdirs

from mixserve_devcluster.errors import ClusterError

# A DNS label, so that the name can stand in the names of objects; short, for the paths.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class ClusterPaths:
    """Where a cluster keeps things; none of it needs to exist."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ClusterError(
                f"{self.name!r} is no name for a cluster: use at most 32 lower-case letters, digits and hyphens, "
                "no hyphen at either end",
            )

    @property
    def directory(self) -> Path:
        """Everything that goes when the cluster is taken down."""
        return clusters_directory() / self.name

    @property
    def control_plane(self) -> Path:
        """The control plane's files: logs, certificates, kubeconfigs."""
        return self.directory / "control-plane"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.control_plane / "admin.kubeconfig"

    @property
    def container_logs(self) -> Path:
        """`<namespace>_<pod>/<container>.log` is one container's."""
        return self.directory / "logs"

    @property
    def record(self) -> Path:
        """The file of the cluster's Record."""
        return self.directory / "cluster.json"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the cluster."""
        return clusters_directory() / f"{self.name}.lock"

    @property
    def supervisor_log(self) -> Path:
        """What a supervisor in the background says."""
        return clusters_directory() / f"{self.name}.log"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The process that runs a cluster.

    Attributes:
        pid: its process id.
        pid_started: when it started, in clock ticks after the system's start: with the pid, it names one process.
        started_s: when the cluster was started, seconds since 1970.
        ready: whether its control plane and nodes are up.
    """

    pid: int
    pid_started: int
    started_s: float
    ready: bool = False

    @classmethod
    def of_this_process(cls) -> Self:
        """A record that says that this process is bringing up the cluster."""
        started = _process_started(os.getpid())
        assert started is not None, "this process is alive"
        return cls(pid=os.getpid(), pid_started=started, started_s=time.time())

    @property
    def alive(self) -> bool:
        """Whether that process still runs; a new process with its pid is not taken for it."""
        return _process_started(self.pid) == self.pid_started

    def write(self, paths: ClusterPaths) -> None:
        """Write the record; a reader sees the old one or the new one, never half of it."""
        scratch = paths.record.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(self)))
        scratch.rename(paths.record)


def read(paths: ClusterPaths) -> Record | None:
    """Return the record of a cluster, or None if there is no such cluster."""
    try:
        return Record(**json.loads(paths.record.read_text()))
    except FileNotFoundError:
        return None


def find(name: str) -> tuple[ClusterPaths, Record]:
    """Return a cluster's paths and record.

    Raises:
        ClusterError: there is no such cluster; names those that there are.
    """
    paths = ClusterPaths(name=name)
    record = read(paths)
    if record is None:
        others = ", ".join(names()) or "none"
        raise ClusterError(
            f"there is no cluster {name!r} (there are: {others}); start it: mixserve dev up --name {name}"
        )
    return paths, record


def names() -> list[str]:
    """The names of all clusters of this user, running or crashed."""
    return sorted(path.parent.name for path in clusters_directory().glob("*/cluster.json"))


def remove(paths: ClusterPaths) -> None:
    """Remove what a cluster has left; it must not run."""
    # The record first: without it, an interrupted removal is a cluster that is not there.
    paths.record.unlink(missing_ok=True)
    shutil.rmtree(paths.directory, ignore_errors=True)


def clusters_directory() -> Path:
    """Where all clusters of this user are; follows XDG_STATE_HOME."""
    return platformdirs.user_state_path("mixserve") / "clusters"


def _process_started(pid: int) -> int | None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # proc(5): field 22; field 2 is the name in parentheses, which may hold spaces and parentheses itself.
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended already; its parent has not asked yet.
        return None if after_name[0] == "Z" else int(after_name[22 - 3])
    return None
