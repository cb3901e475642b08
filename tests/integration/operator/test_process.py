"""The operator's process: it may be stopped or killed at any time, and costs nothing while nothing happens."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.operator_numbers import number, writes
from support.pool_manifests import pool, variant
from support.pool_questions import APPLIED, find, get, versions, wait_for_condition
from support.pool_state import state
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.installation import Installation
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration

LEASE = ("get", "lease", "mixserve-operator", "--namespace=mixserve-system", "--output=json")


def lease(sandbox: PoolSandbox) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(sandbox.kubectl(*LEASE))["spec"]
    return spec


def leads(installation: Installation) -> bool:
    return number(installation, "mixserve_leader") == 1.0


@pytest.fixture
def chat(sandbox: PoolSandbox, installation: Installation) -> PoolSandbox:
    """A pool called chat that is ready and at rest, and alone: those of earlier tests may still be on their way out."""
    # Before it is made: else an earlier pool, still there, is taken for it.
    eventually(lambda: number(installation, "mixserve_pools") == 0.0, "the end of earlier pools")
    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")
    # Hollow pods have no engine and so no metrics, which the operator says after it has tried a few times.
    wait_for_condition(sandbox, "chat", "MetricsFresh", status="False", reason="Stale")
    rested = versions(sandbox, "chat")

    def at_rest() -> bool:
        nonlocal rested
        before, rested = rested, versions(sandbox, "chat")
        return before == rested and all(each["status"] == "True" for each in conditions(sandbox))

    eventually(at_rest, "rest")
    return sandbox


def conditions(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.pool("chat")["status"]["conditions"]
    return [each for each in found if each["type"] != "MetricsFresh"]


def beats(installation: Installation, count: int) -> None:
    """Let the operator look at its pools some more times."""
    start = number(installation, "mixserve_scrape_turns_total")
    eventually(lambda: number(installation, "mixserve_scrape_turns_total") >= start + 20 * count, f"{count} beats")


@pytest.fixture
def running(installation: Installation) -> Iterator[Installation]:
    """The operator, running again after the test whatever has happened to it."""
    yield installation
    installation.stop_operator()
    installation.start_operator()


def test_a_fleet_at_rest_costs_no_write_but_the_lease(chat: PoolSandbox, installation: Installation) -> None:
    before, written = versions(chat, "chat"), writes(installation)
    beats(installation, 6)
    assert versions(chat, "chat") == before
    more = {resource: count - written.get(resource, 0.0) for resource, count in writes(installation).items()}
    assert {resource for resource, count in more.items() if count} == {"leases"}


def test_a_restart_writes_nothing(chat: PoolSandbox, running: Installation) -> None:
    before = versions(chat, "chat")
    running.stop_operator()
    running.start_operator()
    eventually(lambda: leads(running), "leader")
    beats(running, 3)
    assert versions(chat, "chat") == before
    assert set(writes(running)) == {"leases"}


def test_what_happened_meanwhile_is_made_good_after_a_restart(chat: PoolSandbox, running: Installation) -> None:
    running.stop_operator()
    chat.kubectl("delete", "service", "chat")
    chat.kubectl("scale", "deployment", "chat-main", "--replicas=0")
    running.start_operator()
    eventually(lambda: find(chat, "service", "chat"), "service")
    eventually(lambda: get(chat, "deployment", "chat-main")["spec"]["replicas"] == 1, "one replica")


def test_a_pool_with_a_bad_spec_is_looked_after_by_a_restarted_operator(
    chat: PoolSandbox, running: Installation
) -> None:
    chat.apply([pool("chat", variant(quantization="int3"))])
    wait_for_condition(chat, "chat", "Validated", status="False", reason="UnknownQuantizationFormat")
    running.stop_operator()
    chat.kubectl("delete", "service", "chat")
    chat.kubectl("scale", "deployment", "chat-main", "--replicas=0")
    running.start_operator()
    eventually(lambda: find(chat, "service", "chat"), "service")
    eventually(lambda: get(chat, "deployment", "chat-main")["spec"]["replicas"] == 1, "one replica")


def test_a_pool_that_is_deleted_without_an_operator_leaves_nothing(chat: PoolSandbox, running: Installation) -> None:
    running.stop_operator()
    chat.delete_pool("chat")
    running.start_operator()
    beats(running, 2)
    assert chat.items(APPLIED, pool="chat") == []
    assert number(running, "mixserve_pool_replicas", namespace=chat.namespace, pool="chat", variant="main") == 0.0


def test_the_lease_is_given_back_at_the_end(chat: PoolSandbox, running: Installation) -> None:
    eventually(lambda: leads(running), "leader")
    assert lease(chat)["holderIdentity"]
    running.stop_operator()
    assert lease(chat)["holderIdentity"] == ""


def test_a_namespace_that_goes_is_left_in_peace(chat: PoolSandbox, installation: Installation) -> None:
    logged = installation.operator_log.stat().st_size
    chat.kubectl("delete", "namespace", chat.namespace)
    with installation.operator_log.open() as log:
        log.seek(logged)
        events = [json.loads(line)["event"] for line in log]
    assert not {"object_refused", "look_failed"} & set(events)


def test_ten_kills_while_pools_grow_end_in_the_same_state(sandbox: PoolSandbox, running: Installation) -> None:
    """Pools that grow from one to three replicas while the operator is killed, and some that grow in peace."""
    chance = random.Random(3)  # noqa: S311 - not for secrets
    calm, shaken = ["calm-0", "calm-1"], [f"shaken-{number}" for number in range(4)]
    sandbox.apply([pool(name) for name in calm])
    for name in calm:
        sandbox.wait_until_ready(name)
    sandbox.apply([pool(name, variant(least=3)) for name in calm])
    for name in calm:
        eventually(lambda name=name: three_ready(sandbox, name), f"three replicas of {name}")  # type: ignore[misc]
    sandbox.apply([pool(name) for name in shaken])
    for kill in range(10):
        if kill == 3:
            sandbox.apply([pool(name, variant(least=3)) for name in shaken])
        time.sleep(chance.uniform(0.0, 0.3))  # not to wait for anything: the moment of the crash
        running.kill_operator()
        running.start_operator()
    for name in shaken:
        eventually(lambda name=name: three_ready(sandbox, name), f"three replicas of {name}", 60.0)  # type: ignore[misc]
        # What an operator says at first of metrics that it has not read yet, is not what it ends with.
        eventually(lambda name=name: state(sandbox, name) == state(sandbox, calm[0]), f"the state of {name}", 60.0)  # type: ignore[misc]


def three_ready(sandbox: PoolSandbox, name: str) -> bool:
    return bool(sandbox.pool(name).get("status", {}).get("ready") == 3)
