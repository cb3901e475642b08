from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mixserve_devcluster.node.status import (
    ContainerFacts,
    PodSnapshot,
    Running,
    State,
    Terminated,
    Waiting,
    pod_status,
    should_restart,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW_TEXT = "2026-01-02T03:04:05Z"
RUNS = Running(started_at=NOW)
WAITS = Waiting(reason="ContainerCreating")
DONE = Terminated(exit_code=0, reason="Completed", started_at=NOW, finished_at=NOW)
FAILED = Terminated(exit_code=3, reason="Error", message="boom", finished_at=NOW, container_id="local://x")


def facts(state: State, name: str = "main", **fields: Any) -> ContainerFacts:
    return ContainerFacts(name=name, image="i", state=state, **fields)


def snapshot(
    *containers: ContainerFacts,
    init: list[tuple[ContainerFacts, bool]] | None = None,
    policy: str = "Always",
    gates: list[str] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> PodSnapshot:
    """A pod with these containers; `init` says of each init container whether it is a sidecar."""
    spec: dict[str, Any] = {
        "restartPolicy": policy,
        "containers": [{"name": each.name, "image": f"image-of-{each.name}"} for each in containers],
        "initContainers": [
            {"name": each.name, "image": "i", **({"restartPolicy": "Always"} if sidecar else {})}
            for each, sidecar in init or []
        ],
        "readinessGates": [{"conditionType": gate} for gate in gates or []],
    }
    values: dict[str, Any] = {
        "previous": {},
        "address": "127.9.0.1",
        "host_address": "127.0.0.1",
        "started_at": NOW,
        "is_ready_to_start": True,
        "is_terminal": False,
        "now": NOW,
    }
    pod = {"metadata": {"generation": 7}, "spec": spec, "status": {"conditions": conditions or []}}
    return PodSnapshot(pod=pod, init=[each for each, _ in init or []], containers=containers, **{**values, **fields})


def phase(*containers: ContainerFacts, **fields: Any) -> str:
    return str(pod_status(snapshot(*containers, **fields))["phase"])


def condition(kind: str, *containers: ContainerFacts, **fields: Any) -> dict[str, Any]:
    conditions = pod_status(snapshot(*containers, **fields))["conditions"]
    return next(each for each in conditions if each["type"] == kind)


@pytest.mark.parametrize(
    ("states", "policy", "expected"),
    [
        ([WAITS], "Always", "Pending"),
        ([RUNS], "Always", "Running"),
        ([RUNS, WAITS], "Always", "Pending"),
        ([RUNS, DONE], "Never", "Running"),
        ([RUNS, FAILED], "Never", "Running"),
        ([DONE], "Always", "Running"),
        ([DONE], "OnFailure", "Succeeded"),
        ([DONE], "Never", "Succeeded"),
        ([FAILED], "Always", "Running"),
        ([FAILED], "OnFailure", "Running"),
        ([FAILED], "Never", "Failed"),
        ([DONE, FAILED], "Never", "Failed"),
        ([DONE, FAILED], "OnFailure", "Running"),
    ],
)
def test_phase(states: list[State], policy: str, expected: str) -> None:
    containers = [facts(state, f"c{number}") for number, state in enumerate(states)]
    assert phase(*containers, policy=policy) == expected


def test_a_container_that_waits_for_its_restart_has_run() -> None:
    assert phase(facts(Waiting(reason="CrashLoopBackOff"), last=FAILED)) == "Running"


def test_phase_of_a_pod_whose_node_is_done_with_it() -> None:
    assert phase(facts(DONE), is_terminal=True) == "Succeeded"
    assert phase(facts(FAILED), is_terminal=True) == "Failed"
    assert phase(facts(WAITS), is_terminal=True) == "Failed"


@pytest.mark.parametrize(
    ("init", "main", "policy", "expected"),
    [
        (facts(WAITS, "i"), WAITS, "Always", "Pending"),
        (facts(RUNS, "i"), WAITS, "Always", "Pending"),
        (facts(DONE, "i", ready=True), RUNS, "Always", "Running"),
        (facts(FAILED, "i"), WAITS, "Never", "Failed"),
        (facts(FAILED, "i"), WAITS, "OnFailure", "Pending"),
    ],
)
def test_phase_with_an_init_container(init: ContainerFacts, main: State, policy: str, expected: str) -> None:
    assert phase(facts(main), init=[(init, False)], policy=policy) == expected


@pytest.mark.parametrize(
    ("sidecar", "main", "expected"),
    [
        (facts(RUNS, "s", started=False), WAITS, "Pending"),
        (facts(RUNS, "s", started=True), RUNS, "Running"),
        (facts(RUNS, "s", started=True), DONE, "Running"),
        (facts(FAILED, "s"), DONE, "Succeeded"),
    ],
)
def test_phase_with_a_sidecar(sidecar: ContainerFacts, main: State, expected: str) -> None:
    assert phase(facts(main), init=[(sidecar, True)], policy="Never") == expected


def test_initialized() -> None:
    init = [(facts(DONE, "a", ready=True), False), (facts(RUNS, "b"), False), (facts(RUNS, "s"), True)]
    waiting = condition("Initialized", facts(WAITS), init=init)
    assert (waiting["status"], waiting["reason"]) == ("False", "ContainersNotInitialized")
    assert waiting["message"] == "containers with incomplete status: [b s]"
    # Once a container has run, a sidecar that restarts does not undo it.
    assert condition("Initialized", facts(RUNS), init=init)["status"] == "True"
    assert condition("Initialized", facts(DONE), policy="Never")["reason"] == "PodCompleted"


def test_readiness() -> None:
    ready, unready = facts(RUNS, "a", ready=True), facts(RUNS, "b")
    sidecar = [(facts(RUNS, "s", started=True), True)]
    for kind in ("Ready", "ContainersReady"):
        assert condition(kind, ready)["status"] == "True"
        shown = condition(kind, ready, unready, init=sidecar)
        assert (shown["status"], shown["reason"]) == ("False", "ContainersNotReady")
        assert shown["message"] == "containers with unready status: [s b]"
        assert condition(kind, facts(DONE), policy="Never")["reason"] == "PodCompleted"
        assert condition(kind, facts(FAILED), policy="Never")["reason"] == "PodFailed"


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([], 'corresponding condition of pod readiness gate "x/y" does not exist.'),
        ([{"type": "x/y", "status": "False"}], 'the status of pod readiness gate "x/y" is not "True", but False'),
        ([{"type": "x/y", "status": "True"}], None),
    ],
)
def test_readiness_gates(known: list[dict[str, Any]], message: str | None) -> None:
    ready = facts(RUNS, ready=True)
    shown = condition("Ready", ready, gates=["x/y"], conditions=known)
    assert shown["message"] == message
    assert (shown["status"] == "True") is (message is None)
    assert condition("ContainersReady", ready, gates=["x/y"], conditions=known)["status"] == "True"


def test_conditions_keep_their_time_until_they_change() -> None:
    before = pod_status(snapshot(facts(RUNS)))
    later = NOW + timedelta(minutes=1)
    same = condition("Ready", facts(RUNS), previous=before, now=later)
    assert (same["lastTransitionTime"], same["observedGeneration"]) == (NOW_TEXT, 7)
    changed = condition("Ready", facts(RUNS, ready=True), previous=before, now=later)
    assert changed["lastTransitionTime"] == "2026-01-02T03:05:05Z"
    # A merge patch must take the reason away.
    assert changed["reason"] is None


def test_container_statuses() -> None:
    running = facts(RUNS, container_id="local://y", last=FAILED, restarts=2, started=True, ready=True)
    status = pod_status(snapshot(running))["containerStatuses"][0]
    assert status == {
        "name": "main",
        "image": "image-of-main",
        "imageID": "local://image-of-main",
        "containerID": "local://y",
        "ready": True,
        "started": True,
        "restartCount": 2,
        "state": {"running": {"startedAt": NOW_TEXT}},
        "lastState": {
            "terminated": {
                "exitCode": 3,
                "reason": "Error",
                "message": "boom",
                "finishedAt": NOW_TEXT,
                "containerID": "local://x",
            }
        },
    }
    waiting = pod_status(snapshot(facts(Waiting(reason="R", message="m"))))["containerStatuses"][0]
    assert (waiting["state"], waiting["imageID"]) == ({"waiting": {"reason": "R", "message": "m"}}, "")


def test_a_pod_without_an_address_shows_none() -> None:
    status = pod_status(snapshot(facts(WAITS), address="", is_ready_to_start=False))
    assert not {"podIP", "podIPs", "initContainerStatuses"} & status.keys()
    assert (status["hostIP"], status["observedGeneration"], status["startTime"]) == ("127.0.0.1", 7, NOW_TEXT)


@pytest.mark.parametrize(
    ("policy", "exit_code", "expected"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_restart_policies(policy: str, exit_code: int, *, expected: bool) -> None:
    assert should_restart(policy, exit_code) is expected


def test_a_pod_that_the_node_gave_up_has_failed() -> None:
    status = pod_status(snapshot(facts(RUNS, ready=True), failure="too much"))
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "LocalNodeError", "too much")
    assert {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == "False"
    assert "message" not in pod_status(snapshot(facts(RUNS, ready=True)))
