"""The logs of a run that failed: they would go with its cluster."""

import contextlib
import os
import shutil
import time
from pathlib import Path

from mixserve_devcluster import records
from mixserve_devcluster.cluster import locked
from mixserve_devcluster.errors import ClusterError
from mixserve_devcluster.records import ClusterPaths


def keep(paths: ClusterPaths, output: Path) -> Path | None:
    """Copy the logs of a cluster that this process ran into a new directory of `output`, and remove the cluster.

    Returns:
        The directory: logs of the control plane, the operator and the node, and in `pods` those of the engines. None
        if the cluster had not come so far as to have any.
    """
    # Whoever else has the lock, or has left a record since, has a cluster of the same name that is no business of ours.
    with contextlib.suppress(ClusterError), locked(paths):
        record = records.read(paths)
        if record is not None and record.pid == os.getpid():
            kept = output / time.strftime("%Y%m%dT%H%M%S")
            _copy(paths, kept)
            records.remove(paths)
            return kept
    return None


def _copy(paths: ClusterPaths, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in (*paths.control_plane.glob("*.log"), *paths.directory.glob("*.log")):
        shutil.copy(log, target)
    if paths.container_logs.is_dir():
        shutil.copytree(paths.container_logs, target / "pods", dirs_exist_ok=True)
