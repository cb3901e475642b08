from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mixserve.cli import app
from mixserve.cli.generate import checkout
from mixserve.engines.vllm import VLLMAdapter
from mixserve_devcluster import binaries, cluster_status, records, supervisor
from mixserve_devcluster.certificates import ClusterAuthority
from mixserve_devcluster.cluster import locked
from mixserve_devcluster.errors import BuildError
from mixserve_devcluster.kubeconfig import Endpoint, write_for_certificate
from mixserve_devcluster.records import ClusterPaths, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(autouse=True)
def user_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def mixserve(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def add_cluster(name: str = "dev", *, alive: bool, ready: bool = False) -> ClusterPaths:
    """The files of a cluster that is just starting, that is up, or that has crashed."""
    paths = ClusterPaths(name=name)
    paths.control_plane.mkdir(parents=True)
    record = replace(Record.of_this_process(), ready=ready)
    (record if alive else replace(record, pid_started=0)).write(paths)
    return paths


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of an API server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}"


def add_cluster_at(server: str, name: str) -> None:
    """The files of a cluster that is up, with its API server at a URL."""
    paths = add_cluster(name, alive=True, ready=True)
    authority = ClusterAuthority()
    endpoint = Endpoint(server=server, authority=authority.certificate)
    write_for_certificate(paths.kubeconfig, endpoint, authority.client("admin", ["system:masters"]))


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


def test_a_cluster_that_does_not_answer_is_shown_as_such_beside_the_others(
    silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_status, "_ANSWER_S", 0.2)
    add_cluster_at(silent_server, "hangs")
    add_cluster_at("https://127.0.0.1:1", "refuses")
    add_cluster("starts", alive=True)
    result = mixserve("dev", "status", "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert {shown["name"]: shown["state"] for shown in json.loads(result.stdout)} == {
        "hangs": "NotAnswering",
        "refuses": "NotAnswering",
        "starts": "Starting",
    }
    assert mixserve("dev", "status", "--name", "hangs").stdout.splitlines()[1].split()[:2] == ["hangs", "NotAnswering"]


def test_a_cluster_that_goes_while_all_are_looked_at_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    add_cluster(alive=False)
    monkeypatch.setattr(records, "names", lambda: ["dev", "gone"])
    assert [shown["name"] for shown in json.loads(mixserve("dev", "status", "-o", "json").stdout)] == ["dev"]


def test_up_is_content_with_a_cluster_that_is_up() -> None:
    add_cluster(alive=True, ready=True)
    result = mixserve("dev", "up")
    assert (result.exit_code, result.stderr) == (0, "cluster 'dev' is up already\n")


def test_up_waits_for_a_cluster_that_another_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = add_cluster(alive=True)
    monkeypatch.setattr("time.sleep", lambda _: replace(Record.of_this_process(), ready=True).write(paths))
    result = mixserve("dev", "up")
    assert (result.exit_code, result.stderr.splitlines()) == (
        0,
        ["cluster 'dev' is being started; waiting for it", "cluster 'dev' is up already"],
    )


def test_up_fails_if_the_cluster_that_it_waits_for_does_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = add_cluster(alive=True)
    monkeypatch.setattr("time.sleep", lambda _: records.remove(paths))
    result = mixserve("dev", "up")
    assert result.exit_code == 1
    assert "was being started and did not come up" in result.stderr
    assert "mixserve dev up --name dev" in result.stderr


def test_up_warns_of_a_program_that_takes_the_engines_port_from_all_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise BuildError("far enough")

    monkeypatch.setattr(binaries, "get", refuse)
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(VLLMAdapter, "port", port)
        warning, *_ = mixserve("dev", "up").stderr.splitlines()
    assert warning.startswith(f"warning: something on this machine listens on all addresses at port {port}")
    assert mixserve("dev", "up").stderr == "error: far enough\n"


def test_what_is_to_be_copied_into_a_shell_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "my state"))
    monkeypatch.setattr(binaries, "find", lambda name: tmp_path / "my cache" / name)
    monkeypatch.setattr(supervisor, "start", lambda *_: None)
    _, export, command = mixserve("dev", "up").stdout.splitlines()
    assert shlex.split(export) == ["export", f"KUBECONFIG={ClusterPaths(name='dev').kubeconfig}"]
    assert shlex.split(command) == [f"{tmp_path}/my cache/kubectl", "get", "nodes"]


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


@pytest.mark.parametrize(
    "command", [["up"], ["up", "--foreground"], ["demo", "--example", str(checkout() / "examples/routing")]]
)
def test_elsewhere_than_on_linux_kind_is_named_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    result = mixserve("dev", *command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "error: the embedded cluster needs Linux, this is Darwin. Here Mixserve runs on kind"
    )
    assert "docs/install.md" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mixserve_devcluster.errors", None)
    result = mixserve("dev", "status")
    assert result.exit_code == 1
    assert "in a checkout of Mixserve: pip install '.[dev]'" in result.stderr


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
