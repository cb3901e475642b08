from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mixserve_devcluster.node.roles import Role, first_facts, roles
from mixserve_devcluster.node.status import Terminated, Waiting

MAIN = {"name": "main", "image": "i"}
ENDED = {
    "exitCode": 3,
    "reason": "Error",
    "message": "boom",
    "startedAt": "2026-01-02T03:04:05Z",
    "finishedAt": "2026-01-02T03:04:06Z",
    "containerID": "local://x",
}


def pod(policy: str = "Always", **status: Any) -> dict[str, Any]:
    statuses = [{"name": "main", "restartCount": 2, **status}] if status else []
    return {"spec": {"restartPolicy": policy, "containers": [MAIN]}, "status": {"containerStatuses": statuses}}


def test_roles_in_the_order_of_their_start() -> None:
    init, sidecar = {"name": "i"}, {"name": "s", "restartPolicy": "Always"}
    assert roles({"initContainers": [sidecar, init], "containers": [MAIN]}) == [
        (Role.SIDECAR, sidecar),
        (Role.INIT, init),
        (Role.MAIN, MAIN),
    ]
    assert [role.field for role in Role] == ["containers", "initContainers", "initContainers"]


@pytest.mark.parametrize(
    ("role", "policy", "expected"),
    [
        (Role.MAIN, "OnFailure", "OnFailure"),
        (Role.INIT, "Always", "OnFailure"),
        (Role.INIT, "Never", "Never"),
        (Role.SIDECAR, "Never", "Always"),
    ],
)
def test_restart_policies(role: Role, policy: str, expected: str) -> None:
    assert role.restart_policy({"restartPolicy": policy}) == expected


def test_a_new_pod() -> None:
    facts = first_facts(Role.MAIN, MAIN, pod())
    assert (facts.state, facts.last, facts.restarts) == (Waiting(reason="ContainerCreating"), None, 0)
    with_init = pod()
    with_init["spec"]["initContainers"] = [{"name": "i", "image": "i"}]
    assert first_facts(Role.MAIN, MAIN, with_init).state == Waiting(reason="PodInitializing")


def test_a_container_that_was_running_is_lost() -> None:
    running = {"state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}
    facts = first_facts(Role.MAIN, MAIN, pod(**running))
    assert isinstance(facts.state, Waiting)
    assert facts.last is not None
    assert (facts.last.exit_code, facts.last.reason, facts.restarts) == (137, "ContainerStatusUnknown", 2)
    assert first_facts(Role.MAIN, MAIN, pod("Never", **running)).state == facts.last


def test_what_an_earlier_life_has_seen_of_a_container_is_kept() -> None:
    waiting = first_facts(Role.MAIN, MAIN, pod(state={"waiting": {}}, lastState={"terminated": ENDED}))
    assert isinstance(waiting.state, Waiting)
    assert waiting.last is not None
    assert (waiting.last.exit_code, waiting.last.message) == (3, "boom")
    assert waiting.last.finished_at == datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
    ended = first_facts(Role.MAIN, MAIN, pod("Never", state={"terminated": ENDED}))
    assert isinstance(ended.state, Terminated)
    assert (ended.state.exit_code, ended.restarts) == (3, 2)
    again = first_facts(Role.MAIN, MAIN, pod("OnFailure", state={"terminated": {"exitCode": 1}}))
    assert isinstance(again.state, Waiting)
    never = first_facts(Role.MAIN, MAIN, pod(state={"waiting": {}}))
    assert (never.last, never.restarts) == (None, 0)


def test_init_containers_start_over() -> None:
    init = {"name": "i", "image": "i"}
    manifest = {
        "spec": {"restartPolicy": "Never", "initContainers": [init], "containers": [MAIN]},
        "status": {
            "initContainerStatuses": [{"name": "i", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}]
        },
    }
    facts = first_facts(Role.INIT, init, manifest)
    assert isinstance(facts.state, Waiting)
    assert facts.last is not None
