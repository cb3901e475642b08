"""`mixserve dev install`: the operator of a cluster that stays, until Ctrl-C or until the cluster goes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.cluster import Cluster
from support.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

MIXSERVE = Path(sys.executable).with_name("mixserve")


@dataclass(frozen=True)
class Running:
    """`mixserve dev install` after it has said that Mixserve is there."""

    process: subprocess.Popen[str]
    operator: int

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and the rest of what it says."""
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, rest


@pytest.fixture(autouse=True)
def _own_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def children(pid: int) -> list[int]:
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


@contextlib.contextmanager
def running() -> Iterator[Running]:
    command = [MIXSERVE, "dev", "install", "--name", "plain"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("Mixserve is on cluster 'plain'; its operator logs to ")
            [operator] = children(process.pid)
            yield Running(process, operator)
        finally:
            process.kill()


def test_ends_with_the_cluster() -> None:
    with contextlib.ExitStack() as cluster:
        cluster.enter_context(Cluster.start("plain", node_config=None))
        with running() as install:
            cluster.close()

            assert install.end() == (0, "cluster 'plain' is gone, and the operator with it\n")
            assert not is_alive(install.operator)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_with_its_command_and_leaves_the_cluster(number: signal.Signals) -> None:
    with Cluster.start("plain", node_config=None) as cluster, running() as install:
        install.process.send_signal(number)
        install.end()

        assert not is_alive(install.operator)
        cluster.check()


def test_an_operator_that_dies_is_reported() -> None:
    with Cluster.start("plain", node_config=None), running() as install:
        os.kill(install.operator, signal.SIGKILL)
        code, said = install.end()

        assert code == 1
        assert "the operator was ended by SIGKILL" in said


def test_a_cluster_that_is_not_there_is_a_clear_error() -> None:
    done = subprocess.run([MIXSERVE, "dev", "install"], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no cluster 'dev' (there are: none); start it: mixserve dev up")
