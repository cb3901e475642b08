"""A pod's life on the local node is as on a kubelet: probes, hooks, grace, back-off, order of containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from support.plain_pods import (
    FOREVER,
    Sandbox,
    condition,
    container,
    is_ready,
    main_status,
    pod,
    restarts,
    waiting_reason,
)
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

# A server that answers GET / only to who sends the header X-Probe.
_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["X-Probe"] == "yes" else 403)
        self.end_headers()
http.server.HTTPServer((sys.argv[2], 8080), Handler).serve_forever()
"""


@pytest.fixture
def gate(tmp_path: Path) -> Callable[[str, bool], None]:
    """Opens and closes gates: files that containers of `gated` see in /gate."""

    def set_gate(name: str, is_open: bool) -> None:
        file = tmp_path / name
        file.touch() if is_open else file.unlink()

    return set_gate


def gated(tmp_path: Path, script: str = FOREVER, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A container that sees /gate, and the volume for it."""
    mount = {"name": "gate", "mountPath": "/gate"}
    return container(script, volumeMounts=[mount], **fields), [{"name": "gate", "hostPath": {"path": str(tmp_path)}}]


def probe(test: str, **fields: Any) -> dict[str, Any]:
    return {"exec": {"command": ["sh", "-c", test]}, "periodSeconds": 1, "failureThreshold": 1, **fields}


def test_probes(sandbox: Sandbox, tmp_path: Path, gate: Callable[[str, bool], None]) -> None:
    main, volumes = gated(
        tmp_path,
        startupProbe=probe("test -e /gate/started || { echo not yet; exit 1; }", failureThreshold=100),
        readinessProbe=probe("test -e /gate/ready"),
        livenessProbe=probe("! test -e /gate/dead"),
    )
    gate("ready", True)
    sandbox.create(pod("p", main, volumes=volumes))
    # The startup probe holds the others back.
    eventually(lambda: "Unhealthy" in sandbox.events("p"), "failed startup probe")
    assert sandbox.events("p")["Unhealthy"] == ["Startup probe failed: not yet\n"]
    assert main_status(sandbox.pod("p"))["started"] is False
    assert condition(sandbox.pod("p"), "Ready")["reason"] == "ContainersNotReady"
    gate("started", True)
    sandbox.until("p", is_ready, "is ready once it has started")
    # Readiness comes and goes without a restart.
    gate("ready", False)
    unready = sandbox.until("p", lambda p: not is_ready(p), "is not ready any more")
    assert (main_status(unready)["started"], restarts(unready)) == (True, 0)
    # Liveness restarts.
    gate("ready", True)
    gate("dead", True)
    sandbox.until("p", lambda p: "terminated" in main_status(p).get("lastState", {}), "was restarted")
    gate("dead", False)
    sandbox.until("p", lambda p: is_ready(p) and restarts(p) > 0, "is ready again")
    assert "Container main failed liveness probe, will be restarted" in sandbox.events("p")["Killing"]


def test_a_failed_startup_probe_restarts(sandbox: Sandbox) -> None:
    main = container(f"trap 'sleep 1; exit 7' TERM; {FOREVER}", startupProbe=probe("false"))
    sandbox.create(pod("p", main, terminationGracePeriodSeconds=30))
    message = "Container main failed startup probe, will be restarted"
    eventually(lambda: message in sandbox.events("p").get("Killing", []), "event about the startup probe")
    assert main_status(sandbox.pod("p"))["started"] is False
    seen = sandbox.until("p", lambda p: main_status(p).get("lastState"), "was restarted")
    assert main_status(seen)["lastState"]["terminated"]["exitCode"] == 7


def test_servers_have_an_address_each(sandbox: Sandbox) -> None:
    server = {
        "name": "main",
        "image": "local/python:1",
        "command": ["python3", "-c", _SERVER, "--host", "0.0.0.0"],
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {
            "httpGet": {"port": "web", "httpHeaders": [{"name": "X-Probe", "value": "yes"}]},
            "periodSeconds": 1,
        },
        "livenessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 2},
    }
    for name in ("one", "two"):
        sandbox.create(pod(name, server))
    addresses = {sandbox.until(name, is_ready, "is ready")["status"]["podIP"] for name in ("one", "two")}
    assert len(addresses) == 2
    for address in addresses:
        assert address.startswith("127.")
        request = Request(f"http://{address}:8080/", headers={"X-Probe": "yes"})
        with urlopen(request, timeout=5) as response:  # noqa: S310 - a URL of our own
            assert response.status == 200


def test_pre_stop_comes_before_term_and_term_before_kill(sandbox: Sandbox) -> None:
    main = container(
        f"trap 'echo term; sleep 1; echo bye; exit 0' TERM; echo up; {FOREVER}",
        lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo post-start > /proc/1/fd/1"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo pre-stop > /proc/1/fd/1; sleep 0.5"]}},
        },
    )
    sandbox.create(pod("p", main, terminationGracePeriodSeconds=30))
    sandbox.until("p", is_ready, "is ready")
    eventually(lambda: "up" in sandbox.log("p"), "first line")
    sandbox.delete("p")
    sandbox.until("p", lambda p: "deletionTimestamp" in p["metadata"], "is being deleted")
    eventually(lambda: sandbox.is_gone("p"), "end of the pod")
    words = sandbox.log("p").split()
    assert sorted(words[:2]) == ["post-start", "up"]
    assert words[2:] == ["pre-stop", "term", "bye"]


def test_a_process_that_does_not_end_is_killed_after_its_grace(sandbox: Sandbox) -> None:
    # As the first process of its namespace it does not even get a SIGTERM that it has no handler for.
    sandbox.create(pod("p", container("exec sleep 1000"), terminationGracePeriodSeconds=3))
    sandbox.until("p", is_ready, "is ready")
    sandbox.delete("p")
    eventually(lambda: sandbox.is_gone("p"), "end of the pod", timeout_s=10)


def test_crash_loop(sandbox: Sandbox) -> None:
    sandbox.create(pod("p", container("echo boom > /dev/termination-log; exit 3")))
    seen = sandbox.until(
        "p", lambda p: restarts(p) >= 2 and waiting_reason(p) == "CrashLoopBackOff", "is in a crash loop"
    )
    status = main_status(seen)
    assert "back-off" in status["state"]["waiting"]["message"]
    assert (status["ready"], status["started"]) == (False, False)
    end = status["lastState"]["terminated"]
    assert (end["exitCode"], end["reason"], end["message"]) == (3, "Error", "boom\n")
    assert seen["status"]["phase"] == "Running"
    eventually(lambda: "BackOff" in sandbox.events("p"), "event about the back-off")


def test_a_failed_container_may_show_its_log(sandbox: Sandbox) -> None:
    script = "for i in $(seq 100); do echo line $i; done; exit 5"
    main = container(script, terminationMessagePolicy="FallbackToLogsOnError")
    sandbox.create(pod("p", main, restartPolicy="Never"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Failed", "has failed")
    end = main_status(seen)["state"]["terminated"]
    assert end["exitCode"] == 5
    assert end["message"].split("\n")[0] == "line 21"
    assert condition(seen, "Ready")["reason"] == "PodFailed"


def test_on_failure_restarts_until_success(sandbox: Sandbox, tmp_path: Path) -> None:
    main, volumes = gated(tmp_path, "test -e /gate/second && exit 0; touch /gate/second; exit 1")
    sandbox.create(pod("p", main, volumes=volumes, restartPolicy="OnFailure"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    assert restarts(seen) == 1
    assert main_status(seen)["state"]["terminated"]["reason"] == "Completed"
    assert condition(seen, "Initialized")["reason"] == "PodCompleted"


def test_init_containers_run_in_order_and_sidecars_beside(sandbox: Sandbox) -> None:
    mounts = [{"name": "order", "mountPath": "/order"}]
    init = [
        container("sleep 0.3; echo first >> /order/log", "first", volumeMounts=mounts),
        container(
            f"echo sidecar >> /order/log; trap 'exit 0' TERM; {FOREVER}",
            "sidecar",
            volumeMounts=mounts,
            restartPolicy="Always",
            startupProbe=probe("test -e /order/log", failureThreshold=30),
        ),
        container("echo second >> /order/log", "second", volumeMounts=mounts),
    ]
    main = container("echo main >> /order/log; cat /order/log", volumeMounts=mounts)
    volumes = [{"name": "order", "emptyDir": {}}]
    sandbox.create(pod("p", main, initContainers=init, volumes=volumes, restartPolicy="Never"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    assert sandbox.log("p").split() == ["first", "sidecar", "second", "main"]
    assert [each["ready"] for each in seen["status"]["initContainerStatuses"]] == [True, False, True]
    assert "terminated" in seen["status"]["initContainerStatuses"][1]["state"]


def test_a_failed_init_container_fails_the_pod(sandbox: Sandbox) -> None:
    sandbox.create(pod("p", container(), initContainers=[container("exit 4", "init")], restartPolicy="Never"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Failed", "has failed")
    assert condition(seen, "Initialized")["message"] == "containers with incomplete status: [init]"
    assert waiting_reason(seen) == "PodInitializing"


def test_readiness_gates(sandbox: Sandbox) -> None:
    sandbox.create(pod("p", container(), readinessGates=[{"conditionType": "example.com/open"}]))
    seen = sandbox.until("p", lambda p: condition(p, "ContainersReady").get("status") == "True", "runs")
    assert condition(seen, "Ready")["reason"] == "ReadinessGatesNotReady"
    opened = '{"status":{"conditions":[{"type":"example.com/open","status":"True"}]}}'
    assert sandbox.kubectl("patch", "pod", "p", "--subresource=status", "-p", opened).returncode == 0
    sandbox.until("p", is_ready, "is ready through its gate")
