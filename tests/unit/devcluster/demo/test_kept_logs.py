from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.cluster import locked
from mixserve_devcluster.demo import kept_logs
from mixserve_devcluster.records import ClusterPaths, Record

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("user_directories")

LOGS = {
    "control-plane/operator.log": "operator.log",
    "control-plane/kube-apiserver.log": "kube-apiserver.log",
    "node.log": "node.log",
    "logs/default_engine/server.log": "pods/default_engine/server.log",
    "logs/default_engine/server.log.1": "pods/default_engine/server.log.1",
}


@pytest.fixture
def cluster() -> ClusterPaths:
    """What a cluster that this process ran leaves when it ends with an error."""
    paths = ClusterPaths(name="demo")
    for name in (*LOGS, "control-plane/admin.kubeconfig"):
        (paths.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.directory / name).write_text(f"the content of {name}")
    Record.of_this_process().write(paths)
    return paths


def test_logs_are_copied_and_nothing_else_and_the_cluster_goes(tmp_path: Path, cluster: ClusterPaths) -> None:
    kept = kept_logs.keep(cluster, tmp_path / "logs")
    assert kept is not None
    assert kept.parent == tmp_path / "logs"
    found = {str(path.relative_to(kept)): path.read_text() for path in kept.rglob("*") if path.is_file()}
    assert found == {target: f"the content of {source}" for source, target in LOGS.items()}
    assert not cluster.directory.exists()
    assert not cluster.lock.exists()


def test_a_cluster_that_another_process_has_started_is_left_alone(tmp_path: Path, cluster: ClusterPaths) -> None:
    record = Record.of_this_process()
    replace(record, pid=record.pid + 1).write(cluster)
    assert kept_logs.keep(cluster, tmp_path / "logs") is None
    assert cluster.directory.exists()
    assert not (tmp_path / "logs").exists()


def test_a_cluster_that_is_being_started_is_left_alone(tmp_path: Path, cluster: ClusterPaths) -> None:
    with locked(cluster):
        assert kept_logs.keep(cluster, tmp_path / "logs") is None
    assert cluster.directory.exists()


def test_where_there_was_no_cluster_there_are_no_logs(tmp_path: Path) -> None:
    assert kept_logs.keep(ClusterPaths(name="demo"), tmp_path / "logs") is None
    assert not (tmp_path / "logs").exists()
