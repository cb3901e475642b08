from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import supervisor
from mixserve_devcluster.cluster import locked
from mixserve_devcluster.errors import ClusterError
from mixserve_devcluster.records import ClusterPaths

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("user_directories")


def test_the_log_of_a_cluster_that_runs_is_left_alone() -> None:
    paths = ClusterPaths(name="dev")
    with locked(paths):
        paths.supervisor_log.write_text("what the one that runs has said")
        with pytest.raises(ClusterError, match=r"exit code 1.*\nerror: cluster 'dev' runs already"):
            supervisor.start("dev", None)
        assert paths.supervisor_log.read_text() == "what the one that runs has said"


def test_why_a_cluster_does_not_come_up_is_told_and_in_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ClusterPaths(name="dev")
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).write_text("#!/bin/sh\necho Kubernetes v1.30.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(ClusterError, match=r"is version 1\.30, and the embedded cluster is made for"):
        supervisor.start("dev", None)
    assert "is version 1.30" in paths.supervisor_log.read_text()
