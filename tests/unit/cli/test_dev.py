from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mixserve.cli import app
from mixserve_devcluster import binaries
from mixserve_devcluster.cluster import locked
from mixserve_devcluster.errors import BuildError
from mixserve_devcluster.records import ClusterPaths, Record

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(autouse=True)
def user_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def mixserve(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def add_cluster(*, alive: bool) -> ClusterPaths:
    """The files of a cluster that is just starting, or that has crashed."""
    paths = ClusterPaths(name="dev")
    paths.control_plane.mkdir(parents=True)
    record = Record.of_this_process()
    (record if alive else replace(record, pid_started=0)).write(paths)
    return paths


def test_the_version_is_that_of_the_distribution() -> None:
    assert mixserve("--version").output == f"mixserve {version('mixserve')}\n"


def test_help_imports_nothing_heavy() -> None:
    script = "import sys, mixserve.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"kubernetes", "kopf", "aiohttp", "pydantic", "cryptography", "yaml", "matplotlib"} & set(loaded)


def test_no_clusters_is_an_answer_not_an_error() -> None:
    assert mixserve("dev", "status", "-o", "json").stdout == "[]\n"
    result = mixserve("dev", "status")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "mixserve dev up" in result.stderr


@pytest.mark.parametrize("command", [["status", "--name", "x"], ["down", "--name", "x"], ["kubeconfig", "--name", "x"]])
def test_an_unknown_cluster_is_a_clear_error(command: list[str]) -> None:
    result = mixserve("dev", *command)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: there is no cluster 'x' (there are: none)")


def test_a_crashed_cluster_is_shown_as_such() -> None:
    add_cluster(alive=False)
    assert mixserve("dev", "status").stdout.splitlines()[1].split()[:2] == ["dev", "Crashed"]
    (shown,) = json.loads(mixserve("dev", "status", "--output", "json").stdout)
    assert (shown["state"], shown["uptime_s"], shown["server"]) == ("Crashed", None, None)


def test_a_starting_cluster_is_shown_as_such() -> None:
    add_cluster(alive=True)
    (shown,) = json.loads(mixserve("dev", "status", "--name", "dev", "-o", "json").stdout)
    assert shown["state"] == "Starting"
    assert 0 <= shown["uptime_s"] < 60


def test_a_crashed_cluster_can_be_taken_down() -> None:
    paths = add_cluster(alive=False)
    paths.lock.touch()
    paths.supervisor_log.touch()
    assert "had crashed" in mixserve("dev", "down").stderr
    assert list(paths.lock.parent.iterdir()) == []


def test_a_cluster_that_is_started_again_meanwhile_is_not_taken_down() -> None:
    paths = add_cluster(alive=False)
    with locked(paths):
        result = mixserve("dev", "down")
    assert (result.exit_code, paths.directory.exists()) == (1, True)
    assert "is just starting" in result.stderr


def test_up_is_content_with_a_cluster_that_is_up() -> None:
    add_cluster(alive=True)
    result = mixserve("dev", "up")
    assert (result.exit_code, result.stderr) == (0, "cluster 'dev' is up already\n")


def test_up_says_what_is_wrong_with_a_name() -> None:
    result = mixserve("dev", "up", "--name", "No")
    assert result.exit_code == 1
    assert "error: 'No' is no name for a cluster" in result.stderr


def test_a_binary_that_cannot_be_built_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise BuildError("etcd cannot be built: no network")

    monkeypatch.setattr(binaries, "get", fail)
    for command in ("up", "binaries"):
        result = mixserve("dev", command)
        assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "error: etcd cannot be built: no network")


def test_elsewhere_than_on_linux_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    result = mixserve("dev", "up")
    assert result.exit_code == 1
    assert "needs Linux, this is Darwin" in result.stderr
    assert "kind create cluster" in result.stderr


def test_a_missing_extra_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mixserve_devcluster.errors", None)
    result = mixserve("dev", "status")
    assert result.exit_code == 1
    assert "pip install 'mixserve[dev]'" in result.stderr


def test_the_kubeconfig_is_a_path_or_its_content() -> None:
    paths = add_cluster(alive=True)
    paths.kubeconfig.write_text("kind: Config\n")
    assert mixserve("dev", "kubeconfig").stdout == f"{paths.kubeconfig}\n"
    assert mixserve("dev", "kubeconfig", "--raw").stdout == "kind: Config\n"


def test_logs_are_printed_as_they_are() -> None:
    paths = add_cluster(alive=True)
    (paths.container_logs / "llm_pod").mkdir(parents=True)
    (paths.container_logs / "llm_pod" / "server.log").write_bytes(b"caf\xe9 \x1b[31mred\n")
    assert mixserve("dev", "logs", "pod", "-n", "llm").stdout_bytes == b"caf\xe9 \x1b[31mred\n"


def test_logs_of_an_unknown_pod_are_a_clear_error() -> None:
    add_cluster(alive=True)
    result = mixserve("dev", "logs", "nothing")
    assert result.exit_code == 1
    assert "error: no container of pod 'nothing' in namespace 'default'" in result.stderr


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("PATH", "")
    result = mixserve("dev", "binaries")
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: {tmp_path}/file/mixserve/binaries: Not a directory\n",
    )


def test_an_error_of_a_call_without_a_file_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(binaries, "get", fail)
    assert isinstance(mixserve("dev", "binaries").exception, ConnectionRefusedError)
