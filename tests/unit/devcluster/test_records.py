from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import records
from mixserve_devcluster.errors import ClusterError
from mixserve_devcluster.records import ClusterPaths, Record
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("user_directories")


def add_cluster(name: str, record: Record | None = None) -> ClusterPaths:
    paths = ClusterPaths(name=name)
    paths.directory.mkdir(parents=True)
    (record or Record.of_this_process()).write(paths)
    return paths


def test_a_record_can_be_read_back() -> None:
    record = replace(Record.of_this_process(), ready=True)
    assert records.read(add_cluster("a", record)) == record


def test_there_is_no_record_of_a_cluster_that_was_never_up() -> None:
    assert records.read(ClusterPaths(name="a")) is None


def test_an_unknown_cluster_is_an_error_that_names_the_known_ones() -> None:
    add_cluster("b")
    add_cluster("a")
    with pytest.raises(ClusterError, match=r"no cluster 'c' \(there are: a, b\).*mixserve dev up --name c"):
        records.find("c")


def test_clusters_are_the_users(tmp_path: Path) -> None:
    assert add_cluster("a").directory == tmp_path / "state" / "mixserve" / "clusters" / "a"
    assert records.names() == ["a"]


def test_a_removed_cluster_is_unknown() -> None:
    paths = add_cluster("a")
    paths.container_logs.mkdir()
    records.remove(paths)
    assert records.names() == []
    assert not paths.directory.exists()
    records.remove(paths)


def test_this_process_is_alive() -> None:
    assert Record.of_this_process().alive


def test_a_process_that_has_the_pid_of_an_earlier_one_is_not_taken_for_it() -> None:
    record = Record.of_this_process()
    assert not replace(record, pid_started=record.pid_started - 1).alive


def test_a_process_that_ended_is_not_alive_even_before_its_parent_asks() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        started = records._process_started(process.pid)
        assert started
        record = Record(pid=process.pid, pid_started=started, started_s=0.0)
        assert record.alive
        os.kill(process.pid, 9)
        eventually(lambda: not record.alive, "end of the process")
    assert not record.alive


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "../a", "a/b", "a.b", "a" * 33])
def test_a_name_that_cannot_be_a_directory_and_a_label_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="is no name for a cluster"):
        ClusterPaths(name=name)


@pytest.mark.parametrize("name", ["a", "1", "a-1", "a" * 32])
def test_a_dns_label_is_a_name(name: str) -> None:
    assert ClusterPaths(name=name).kubeconfig.parts[-3] == name
