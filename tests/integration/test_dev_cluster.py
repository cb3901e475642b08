"""`mixserve dev`: clusters by name, in the background and in the foreground, and what is left of them: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster import binaries
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.component_flags import COMPONENTS
from mixserve_devcluster.default_nodes import default_nodes
from mixserve_devcluster.errors import ClusterError
from mixserve_devcluster.records import ClusterPaths
from support.processes import is_alive, running_with, working_in
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

# The script that the distribution installs, beside the interpreter.
MIXSERVE = Path(sys.executable).with_name("mixserve")


@pytest.fixture(autouse=True)
def clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of all clusters of a user who has none yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mixserve" / "clusters"


@pytest.fixture
def detached() -> Iterator[str]:
    """The name of a cluster that is up in the background."""
    done = mixserve("up")
    assert done.returncode == 0, done.stderr
    yield "dev"
    mixserve("down")


def mixserve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MIXSERVE, "dev", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def status(name: str = "dev") -> dict[str, Any]:
    (shown,) = json.loads(mixserve("status", "--name", name, "-o", "json").stdout)
    return dict(shown)


def test_up_and_down(detached: str, clusters: Path) -> None:
    shown = status()
    assert (shown["name"], shown["state"], shown["pods"]) == ("dev", "Running", {})
    assert {node["name"]: node["gpus"] for node in shown["nodes"] if node["ready"]} == {
        "l4-0": 1,
        "l4-1": 1,
        "h100-0": 8,
    }
    again = mixserve("up")
    assert (again.returncode, again.stderr) == (0, "cluster 'dev' is up already\n")
    running = working_in(clusters)
    assert sorted(running) == sorted(COMPONENTS)
    down = mixserve("down")
    assert (down.returncode, down.stderr) == (0, "cluster 'dev' is gone\n")
    assert not any(is_alive(pid) for pid in [shown["pid"], *running.values()])
    assert list(clusters.iterdir()) == []


@pytest.fixture
def pod(detached: str, tmp_path: Path) -> str:
    """A pod that runs; its process has the pod's name as its last word."""
    name = f"pod-{uuid.uuid4().hex}"
    script = "echo from the pod; while :; do sleep 0.1; done"
    container = {"name": "c", "image": "local/shell:1", "args": ["-c", script, name]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
    (tmp_path / "pod.json").write_text(json.dumps(manifest))
    kubectl("apply", "-f", str(tmp_path / "pod.json"))
    kubectl("wait", "--for=condition=Ready", "--timeout=90s", f"pod/{name}")
    return name


def kubectl(*arguments: str) -> str:
    path = mixserve("kubeconfig").stdout.strip()
    command = [binaries.find("kubectl"), "--kubeconfig", path, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pods_run_and_are_heard_and_end_with_the_cluster(pod: str) -> None:
    assert status()["pods"] == {"Running": 1}
    assert running_with(pod) != []
    assert kubectl("logs", pod) == "from the pod\n"
    assert mixserve("logs", pod).stdout == "from the pod\n"
    mixserve("down")
    assert running_with(pod) == []


def test_a_supervisor_that_is_killed_takes_everything_with_it(pod: str, clusters: Path) -> None:
    os.kill(status()["pid"], signal.SIGKILL)
    eventually(lambda: working_in(clusters) == {}, "end of all components")
    eventually(lambda: running_with(pod) == [], "end of the pod")
    eventually(lambda: running_with(str(clusters / "dev" / "node.json")) == [], "end of the local node")
    assert status()["state"] == "Crashed"
    restarted = mixserve("up")
    assert restarted.returncode == 0
    assert status()["state"] == "Running"


def test_a_component_that_dies_ends_the_cluster_and_says_so(detached: str, clusters: Path) -> None:
    supervisor = status()["pid"]
    os.kill(working_in(clusters)["kube-scheduler"], signal.SIGKILL)
    eventually(lambda: not is_alive(supervisor), "end of the supervisor")
    assert working_in(clusters) == {}
    assert "kube-scheduler was ended by SIGKILL" in (clusters / "dev.log").read_text()
    # The logs of the others are still there to be read.
    assert (clusters / "dev" / "control-plane" / "kube-apiserver.log").stat().st_size > 0
    assert mixserve("down").returncode == 0
    assert not (clusters / "dev").exists()


def test_a_local_node_that_dies_ends_the_cluster_and_says_so(pod: str, clusters: Path) -> None:
    supervisor = status()["pid"]
    (node,) = running_with(str(clusters / "dev" / "node.json"))
    os.kill(node, signal.SIGKILL)
    eventually(lambda: not is_alive(supervisor), "end of the supervisor")
    eventually(lambda: running_with(pod) == [], "end of the pod")
    assert "the local node was ended by SIGKILL" in (clusters / "dev.log").read_text()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + 15)])
def test_a_foreground_cluster_ends_with_its_command(clusters: Path, number: signal.Signals, expected: int) -> None:
    with subprocess.Popen([MIXSERVE, "dev", "up", "--foreground"], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        assert command.stdout.readline() == "cluster 'dev' is up:\n"
        assert status()["pid"] == command.pid
        command.send_signal(number)
        assert command.wait(60) == expected
    assert working_in(clusters) == {}
    assert not (clusters / "dev").exists()


def test_ctrl_c_while_it_comes_up_in_the_background_stops_it(clusters: Path) -> None:
    with subprocess.Popen([MIXSERVE, "dev", "up"], stderr=subprocess.DEVNULL) as command:
        eventually(lambda: "etcd" in working_in(clusters), "first component")
        command.send_signal(signal.SIGINT)
        assert command.wait(60) != 0
    eventually(lambda: not (clusters / "dev").exists(), "end of the supervisor")
    assert working_in(clusters) == {}


def test_up_waits_for_a_cluster_that_another_is_starting(clusters: Path) -> None:
    with subprocess.Popen([MIXSERVE, "dev", "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        eventually((clusters / "dev" / "cluster.json").exists, "record of a starting cluster")
        second = mixserve("up")
        assert second.returncode == 0, second.stderr
        assert status()["state"] == "Running"
        assert first.wait(60) == 0
    assert mixserve("down").returncode == 0


def test_a_cluster_whose_api_server_hangs_is_shown_as_such(detached: str, clusters: Path) -> None:
    server = working_in(clusters)["kube-apiserver"]
    os.kill(server, signal.SIGSTOP)
    shown = status()
    assert (shown["state"], shown["nodes"]) == ("NotAnswering", [])
    os.kill(server, signal.SIGCONT)
    eventually(lambda: status()["state"] == "Running", "answer")


def test_two_clusters_run_side_by_side(clusters: Path) -> None:
    with (
        Cluster.start("one", node_config=default_nodes()) as one,
        Cluster.start("two", node_config=default_nodes()) as two,
    ):
        assert one.plane.server != two.plane.server
        shown = json.loads(mixserve("status", "-o", "json").stdout)
        assert [(each["name"], each["state"]) for each in shown] == [("one", "Running"), ("two", "Running")]
        assert [sum(node["ready"] for node in each["nodes"]) for each in shown] == [3, 3]
        configs = [str(clusters / name / "node.json") for name in ("one", "two")]
        assert [len(running_with(config)) for config in configs] == [1, 1]
    # The nodes have ended with their clusters, not only with this process.
    assert [running_with(config) for config in configs] == [[], []]
    assert mixserve("status", "-o", "json").stdout == "[]\n"


def test_one_name_is_for_one_cluster() -> None:
    with (
        Cluster.start("one") as first,
        pytest.raises(ClusterError, match="'one' runs already"),
        Cluster.start("one"),
    ):
        pytest.fail("there is a second one")
    assert not first.paths.directory.exists()


def test_the_directory_of_a_cluster_that_ended_with_an_error_stays(clusters: Path) -> None:
    def fail_within() -> None:
        with Cluster.start("one"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert (ClusterPaths(name="one").control_plane / "kube-apiserver.log").exists()
    assert working_in(clusters) == {}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("- a list", "is a mapping with `nodes` and `images`"),
        ("{", "cannot read the node configuration"),
        ("nodes: [{name: a, gpus: 1}]", "nodes.0.gpus: Extra inputs are not permitted"),
    ],
)
def test_a_node_configuration_that_is_none_is_a_clear_error(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "nodes.yaml").write_text(content)
    done = mixserve("up", "--nodes", str(tmp_path / "nodes.yaml"))
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
