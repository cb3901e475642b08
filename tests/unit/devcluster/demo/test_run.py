from __future__ import annotations

import contextlib
import io
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from mixserve.engines.vllm import VLLMAdapter
from mixserve_devcluster import binaries
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.demo import run
from mixserve_devcluster.demo.profiles import PROFILES
from mixserve_devcluster.demo.run import DemoResult, run_demo
from mixserve_devcluster.errors import BuildError, DevClusterError, PlatformError, PortError
from mixserve_devcluster.records import ClusterPaths, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[4] / "examples/routing"


def shown(output: Path) -> tuple[DemoResult, str]:
    """The result of a demo, and what the console shows."""
    console = Console(file=io.StringIO(), width=200)
    result = run_demo(
        profile=PROFILES["simulated"], example=EXAMPLE, trace=None, output=output / "out", console=console
    )
    return result, console.file.getvalue()


@pytest.fixture
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "start", lambda *_, **__: pytest.fail("a cluster was started"))


@pytest.mark.usefixtures("_no_cluster")
def test_elsewhere_than_on_linux_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(PlatformError, match=r"docs/install\.md"):
        shown(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_cluster")
@pytest.mark.parametrize("missing", ["helm", "kubectl", "etcd"])
def test_all_binaries_are_found_before_there_is_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def find(name: str) -> Path:
        if name == missing:
            raise BuildError(f"{name} cannot be built")
        return tmp_path / name

    monkeypatch.setattr(binaries, "find", find)
    with pytest.raises(BuildError, match=f"{missing} cannot be built"):
        shown(tmp_path)


@pytest.mark.usefixtures("_no_cluster")
def test_a_program_in_the_way_of_all_engines_is_told_before_there_is_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(VLLMAdapter, "port", port)
        with pytest.raises(PortError, match=f"at port {port}"):
            shown(tmp_path)


@pytest.fixture
def ended_with(user_directories: Path, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What goes wrong on the demo's cluster, which has an operator's log and no processes."""
    errors: list[Exception] = []

    @contextlib.contextmanager
    def start(name: str, **_: object) -> Iterator[None]:
        paths = ClusterPaths(name=name)
        paths.control_plane.mkdir(parents=True)
        (paths.control_plane / "operator.log").write_text("why it did not scale")
        Record.of_this_process().write(paths)
        yield

    def fail(*_: object) -> None:
        raise errors[0]

    monkeypatch.setattr(Cluster, "start", start)
    monkeypatch.setattr(run._Run, "on", fail)
    monkeypatch.setattr(binaries, "find", Path)
    return errors


def test_a_demo_that_did_not_show_it_keeps_its_logs_beside_the_pictures(
    tmp_path: Path, ended_with: list[Exception]
) -> None:
    ended_with.append(run.NotShownError("it stayed at 1"))
    result, _ = shown(tmp_path)
    assert (result.files[-1] / "operator.log").read_text() == "why it did not scale"
    assert result.files[-1].parent == tmp_path / "out" / "logs"
    assert result.failures[0] == "no request was sent"
    assert not ClusterPaths(name=run.CLUSTER).directory.exists()


def test_a_demo_that_breaks_says_where_its_logs_are(
    tmp_path: Path, ended_with: list[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    ended_with.append(DevClusterError("the pool is not Ready"))
    console = Console(width=300)
    with pytest.raises(DevClusterError, match="not Ready"):
        run_demo(profile=PROFILES["simulated"], example=EXAMPLE, trace=None, output=tmp_path / "out", console=console)
    [kept] = (tmp_path / "out" / "logs").iterdir()
    assert f"Logs of the operator, the node and the engines: {kept}\n" in capsys.readouterr().out
    assert (kept / "operator.log").exists()
    assert not ClusterPaths(name=run.CLUSTER).directory.exists()
