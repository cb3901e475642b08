"""A pod's life on the local node is as on a kubelet: probes, hooks, grace, back-off, order of containers."""

from __future__ import annotations

import time
import uuid
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
    processes_with,
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
    """Opens and closes gates: files in `tmp_path`, which pods see, too."""

    def set_gate(name: str, is_open: bool) -> None:
        file = tmp_path / name
        file.touch() if is_open else file.unlink()

    return set_gate


def probe(test: str, **fields: Any) -> dict[str, Any]:
    return {"exec": {"command": ["sh", "-c", test]}, "periodSeconds": 1, "failureThreshold": 1, **fields}


def test_probes(sandbox: Sandbox, tmp_path: Path, gate: Callable[[str, bool], None]) -> None:
    main = container(
        startupProbe=probe(f"test -e {tmp_path}/started || {{ echo not yet; exit 1; }}", failureThreshold=100),
        readinessProbe=probe(f"test -e {tmp_path}/ready"),
        livenessProbe=probe(f"! test -e {tmp_path}/dead"),
    )
    gate("ready", True)
    sandbox.create(pod("p", main))
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


def test_a_failed_startup_probe_restarts(sandbox: Sandbox, tmp_path: Path) -> None:
    # A shell that is the first process of its namespace does not even end on a TERM that comes before its trap.
    trapped = tmp_path / "trapped"
    failing = probe(f"until test -e {trapped}; do sleep 0.1; done; false", timeoutSeconds=30)
    main = container(f"trap 'sleep 1; exit 7' TERM; touch {trapped}; {FOREVER}", startupProbe=failing)
    sandbox.create(pod("p", main, terminationGracePeriodSeconds=30))
    message = "Container main failed startup probe, will be restarted"
    eventually(lambda: message in sandbox.events("p").get("Killing", []), "event about the startup probe")
    assert main_status(sandbox.pod("p"))["started"] is False
    seen = sandbox.until("p", lambda p: main_status(p).get("lastState"), "was restarted")
    assert main_status(seen)["lastState"]["terminated"]["exitCode"] == 7


def test_a_probe_that_hangs_fails_in_time_and_leaves_nothing_behind(sandbox: Sandbox) -> None:
    token = uuid.uuid4().hex
    # So that no second attempt comes meanwhile.
    hanging = probe(f"sleep 1000; # {token}", timeoutSeconds=2, periodSeconds=600)
    sandbox.create(pod("p", container(readinessProbe=hanging)))
    eventually(lambda: len(processes_with(token)) == 1, "hanging probe")
    eventually(lambda: "Unhealthy" in sandbox.events("p"), "failed readiness probe")
    expected = f"Readiness probe failed: command timed out after 2 s: sh -c sleep 1000; # {token}"
    assert sandbox.events("p")["Unhealthy"] == [expected]
    eventually(lambda: not processes_with(token), "end of the probe's process")
    seen = sandbox.pod("p")
    assert (is_ready(seen), restarts(seen)) == (False, 0)
    assert "running" in main_status(seen)["state"]


def test_a_container_that_ends_while_it_is_probed_does_not_disturb_others(sandbox: Sandbox) -> None:
    # Each time the container ends, one of many probes is just being started.
    busy = {f"{kind}Probe": probe("true") for kind in ("readiness", "liveness")}
    sandbox.create(pod("p", *(container("sleep 1", f"c{number}", **busy) for number in range(8))))
    sandbox.until("p", lambda p: restarts(p) >= 2, "was restarted")
    sandbox.create(pod("other", container("exit 0"), restartPolicy="Never"))
    sandbox.until("other", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")


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


def test_pre_stop_comes_before_term_and_term_before_kill(sandbox: Sandbox, tmp_path: Path) -> None:
    said = tmp_path / "said"
    main = container(
        f"trap 'echo term >> {said}; sleep 1; echo bye >> {said}; exit 0' TERM; echo up >> {said}; {FOREVER}",
        lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", f"echo post-start >> {said}"]}},
            "preStop": {"exec": {"command": ["sh", "-c", f"echo pre-stop >> {said}; sleep 0.5"]}},
        },
    )
    sandbox.create(pod("p", main, terminationGracePeriodSeconds=30))
    sandbox.until("p", is_ready, "is ready")
    eventually(lambda: "up" in said.read_text(), "first line")
    sandbox.delete("p")
    sandbox.until("p", lambda p: "deletionTimestamp" in p["metadata"], "is being deleted")
    eventually(lambda: sandbox.is_gone("p"), "end of the pod")
    words = said.read_text().split()
    assert sorted(words[:2]) == ["post-start", "up"]
    assert words[2:] == ["pre-stop", "term", "bye"]


@pytest.mark.usefixtures("isolated")
def test_a_hook_may_write_to_the_log_of_its_container(sandbox: Sandbox) -> None:
    hook = {"exec": {"command": ["sh", "-c", "echo hello > /proc/1/fd/1"]}}
    sandbox.create(pod("p", container(lifecycle={"postStart": hook})))
    eventually(lambda: sandbox.log("p") == "hello\n", "line of the hook in the log")


def grace_of(sandbox: Sandbox, script: str) -> float:
    """How many seconds a process runs on that has a grace of 3 s."""
    token = uuid.uuid4().hex
    sandbox.create(pod("p", container(f"{script} # {token}"), terminationGracePeriodSeconds=3))
    sandbox.until("p", is_ready, "is ready")
    eventually(lambda: "up" in sandbox.log("p"), "first line")
    began_s = time.monotonic()
    sandbox.delete("p")
    eventually(lambda: not processes_with(token), "end of the process")
    took_s = time.monotonic() - began_s
    eventually(lambda: sandbox.is_gone("p"), "end of the pod")
    return took_s


def test_a_process_that_does_not_end_is_killed_after_its_grace(sandbox: Sandbox) -> None:
    assert 3 <= grace_of(sandbox, f"trap '' TERM; echo up; {FOREVER}") < 10


@pytest.mark.usefixtures("isolated")
def test_a_process_without_a_handler_has_its_grace_too(sandbox: Sandbox) -> None:
    """As the first process of its namespace it does not even get a SIGTERM that it has no handler for."""
    assert 3 <= grace_of(sandbox, f"echo up; {FOREVER}") < 10


def test_crash_loop(sandbox: Sandbox) -> None:
    # The path is a word of its own, which is replaced where there are no mounts.
    main = container('echo boom > "$0"; exit 3')
    main["command"].append("/dev/termination-log")
    sandbox.create(pod("p", main))
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
    main = container(f"test -e {tmp_path}/second && exit 0; touch {tmp_path}/second; exit 1")
    sandbox.create(pod("p", main, restartPolicy="OnFailure"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    assert restarts(seen) == 1
    assert main_status(seen)["state"]["terminated"]["reason"] == "Completed"
    assert condition(seen, "Initialized")["reason"] == "PodCompleted"


def test_init_containers_run_in_order_and_sidecars_beside(sandbox: Sandbox, tmp_path: Path) -> None:
    order, sidecar_is_up = tmp_path / "order", tmp_path / "up"
    init = [
        container(f"sleep 0.3; echo first >> {order}", "first"),
        container(
            f"echo sidecar >> {order}; touch {sidecar_is_up}; trap 'exit 0' TERM; {FOREVER}",
            "sidecar",
            restartPolicy="Always",
            startupProbe=probe(f"test -e {sidecar_is_up}", failureThreshold=30),
        ),
        container(f"echo second >> {order}", "second"),
    ]
    main = container(f"echo main >> {order}")
    sandbox.create(pod("p", main, initContainers=init, restartPolicy="Never"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    assert order.read_text().split() == ["first", "sidecar", "second", "main"]
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
