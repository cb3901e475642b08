"""Controllers and the scheduler of Kubernetes find in the local node what they find in real nodes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.control_plane import NODE_GROUP
from support.plain_pods import (
    FOREVER,
    MODE_LABEL,
    Sandbox,
    condition,
    container,
    is_ready,
    main_status,
    pod,
    pod_spec,
    processes_with,
    restarts,
)
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def job(name: str, main: dict[str, Any], **fields: Any) -> dict[str, Any]:
    template = {"spec": pod_spec(main, restartPolicy="Never")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **fields},
    }


def deployment(name: str, main: dict[str, Any], replicas: int, **fields: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(main, **fields)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def with_gpus(name: str, count: int, **fields: Any) -> dict[str, Any]:
    main = container(resources={"limits": {"nvidia.com/gpu": str(count)}})
    return pod(name, main, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-L4"}, **fields)


def test_jobs(sandbox: Sandbox) -> None:
    sandbox.create(job("good", container("echo done"), completions=3, parallelism=2))
    sandbox.create(job("bad", container("exit 1"), backoffLimit=0))
    waited = sandbox.kubectl("wait", "--for=condition=Complete", "job/good", "--timeout=30s")
    assert waited.returncode == 0, waited.stderr
    assert sandbox.kubectl("wait", "--for=condition=Failed", "job/bad", "--timeout=30s").returncode == 0
    pods = sandbox.pods("batch.kubernetes.io/job-name=good")
    assert [each["status"]["phase"] for each in pods] == ["Succeeded"] * 3
    # Their finalizers are taken away and their objects removed.
    assert sandbox.kubectl("delete", "job", "good", "bad").returncode == 0
    eventually(lambda: not sandbox.pods("batch.kubernetes.io/job-name"), "end of the jobs' pods")


def test_a_deployment_rolls_out_and_scales(sandbox: Sandbox) -> None:
    main = container(
        f"touch $HOME/up; {FOREVER}",
        readinessProbe={"exec": {"command": ["sh", "-c", "test -e $HOME/up"]}, "periodSeconds": 1},
        env=[{"name": "VERSION", "value": "1"}],
    )
    sandbox.create(deployment("web", main, 2))
    assert sandbox.kubectl("rollout", "status", "deployment/web", "--timeout=30s").returncode == 0
    first = {each["metadata"]["uid"] for each in sandbox.pods("app=web")}
    assert sandbox.kubectl("set", "env", "deployment/web", "VERSION=2").returncode == 0
    assert sandbox.kubectl("rollout", "status", "deployment/web", "--timeout=30s").returncode == 0
    eventually(lambda: not first & {each["metadata"]["uid"] for each in sandbox.pods("app=web")}, "end of the old pods")
    assert sandbox.kubectl("scale", "deployment/web", "--replicas=3").returncode == 0
    assert sandbox.kubectl("rollout", "status", "deployment/web", "--timeout=30s").returncode == 0
    assert sandbox.kubectl("scale", "deployment/web", "--replicas=0").returncode == 0
    eventually(lambda: not sandbox.pods("app=web"), "end of all pods")


def test_pods_wait_for_gpus(sandbox: Sandbox) -> None:
    sandbox.create(with_gpus("one", 3))
    sandbox.until("one", is_ready, "is ready")
    sandbox.create(with_gpus("two", 2))
    waiting = sandbox.until("two", lambda p: condition(p, "PodScheduled").get("status") == "False", "is not scheduled")
    assert "Insufficient nvidia.com/gpu" in condition(waiting, "PodScheduled")["message"]
    sandbox.delete("one")
    sandbox.until("two", is_ready, "is ready when GPUs are free")


def test_hollow_nodes_carry_many_pods(sandbox: Sandbox) -> None:
    main = container(readinessProbe={"exec": {"command": ["false"]}})
    sandbox.create(deployment("many", main, 200, nodeSelector={MODE_LABEL: "hollow"}))
    status = sandbox.kubectl("rollout", "status", "deployment/many", "--timeout=50s")
    assert status.returncode == 0, status.stderr
    pods = sandbox.pods("app=many")
    assert len({each["status"]["podIP"] for each in pods}) == 200
    assert len({each["spec"]["nodeName"] for each in pods}) == 3
    assert sandbox.kubectl("delete", "deployment", "many").returncode == 0
    eventually(lambda: not sandbox.pods("app=many"), "end of the hollow pods")


@pytest.fixture
def start_node(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the local node "mortal" in a process of the test's own; its object and its pods are removed afterwards."""
    plane = sandbox.cluster.plane
    content = {
        "logDirectory": str(tmp_path / "logs"),
        "workDirectory": str(tmp_path / "work"),
        "apiServer": plane.server,
        "caFile": str(plane.ca_file),
        "timeFactor": 0.02,
        "nodes": [{"name": "mortal", "labels": {MODE_LABEL: "mortal"}}],
    }
    config = tmp_path / "node.json"
    kubeconfig = plane.kubeconfig_for(user="mortal", groups=[NODE_GROUP])
    command = ["-m", "mixserve_devcluster.node", "--kubeconfig", str(kubeconfig), "--config", str(config)]
    with contextlib.ExitStack() as started:

        def start(**changes: Any) -> subprocess.Popen[str]:
            config.write_text(json.dumps({**content, **changes}))
            log = started.enter_context((tmp_path / "node.log").open("a"))
            process = started.enter_context(
                subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=log, text=True)
            )
            started.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        yield start
    assert sandbox.kubectl("delete", "pods", "--all", "--force", "--grace-period=0").returncode == 0
    assert sandbox.kubectl("delete", "node", "mortal").returncode == 0


def test_nothing_outlives_the_node_and_the_next_one_starts_anew(
    sandbox: Sandbox, start_node: Callable[..., subprocess.Popen[str]]
) -> None:
    token = uuid.uuid4().hex
    # The first process has left the container's process group and session.
    script = f"setsid sh -c '{FOREVER} # {token}' & {FOREVER} # {token}"
    selector = {MODE_LABEL: "mortal"}
    node = start_node()
    sandbox.create(pod("p", container(script), nodeSelector=selector))
    sandbox.create(pod("never", container(), nodeSelector=selector, restartPolicy="Never"))
    for name in ("p", "never"):
        sandbox.until(name, is_ready, "is ready")
    eventually(lambda: len(processes_with(token)) == 2, "both processes")
    node.kill()
    eventually(lambda: not processes_with(token), "end of all processes")
    node = start_node()
    seen = sandbox.until("p", lambda p: is_ready(p) and restarts(p) == 1, "was restarted")
    end = main_status(seen)["lastState"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (137, "ContainerStatusUnknown")
    sandbox.until("never", lambda p: p["status"]["phase"] == "Failed", "has failed")
    eventually(lambda: len(processes_with(token)) == 2, "both processes again")
    node.terminate()
    assert node.wait(20) == 0
    assert not processes_with(token)


def test_a_node_ends_with_its_spawner(
    sandbox: Sandbox, start_node: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    token = uuid.uuid4().hex
    node = start_node()
    sandbox.create(pod("p", container(f"{FOREVER} # {token}"), nodeSelector={MODE_LABEL: "mortal"}))
    sandbox.until("p", is_ready, "is ready")
    (spawner,) = [pid for pid in processes_with("spawner.server") if parent_of(pid) == node.pid]
    os.kill(spawner, signal.SIGKILL)
    assert node.wait(20) == 1
    assert (tmp_path / "node.log").read_text().endswith("\nthe spawner has ended, and all processes with it\n")
    eventually(lambda: not processes_with(token), "end of all processes")


def test_a_node_that_was_taken_for_dead_is_ready_again(
    sandbox: Sandbox, start_node: Callable[..., subprocess.Popen[str]]
) -> None:
    start_node()
    # What the node lifecycle controller writes when leases are late.
    unknown = {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}
    patched = sandbox.kubectl("patch", "node", "mortal", "--subresource=status", "-p", json.dumps(unknown))
    assert patched.returncode == 0, patched.stderr
    node = "/api/v1/nodes/mortal"
    eventually(lambda: is_ready(sandbox.cluster.plane.api.get(node)), "Ready node")


def test_pods_on_a_host_without_namespaces(
    sandbox: Sandbox, start_node: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Mount paths in arguments and values are replaced, and a service account is a kubeconfig."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/weights").write_text("heavy")
    start_node(isolated=False)
    main = {
        "name": "main",
        "image": "local/shell:1",
        "command": ["sh", "-c", 'cat "$0" "$OTHER"; grep -c token "$KUBECONFIG"; pwd', "/models/weights"],
        "env": [{"name": "OTHER", "value": "/models/weights"}],
        "workingDir": "/models",
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }
    volumes = [{"name": "models", "hostPath": {"path": str(tmp_path / "models")}}]
    selector = {MODE_LABEL: "mortal"}
    sandbox.create(pod("p", main, volumes=volumes, nodeSelector=selector, restartPolicy="Never"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] in {"Succeeded", "Failed"}, "has ended")
    log = (tmp_path / "logs" / f"{sandbox.namespace}_p" / "main.log").read_text()
    assert (seen["status"]["phase"], log) == ("Succeeded", f"heavyheavy1\n{tmp_path}/models\n")
