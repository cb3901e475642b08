"""What is particular to pools of TensorRT-LLM: the file of options, and two kinds of metrics."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.plan.launch import OPTIONS_FILE
from support.pool_manifests import pool
from support.pool_questions import get, wait_for_condition
from support.pool_sandbox import complete
from support.waiting import eventually

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.e2e

# Seconds on a machine with nothing else to do, many times as many on a busy one.
DEADLINE_S = 120.0


def chat(version: str, **engine: Any) -> dict[str, Any]:
    return pool("chat", engine={"type": "tensorrt-llm", "version": version, **engine})


def options_of_pods(sandbox: PoolSandbox) -> set[str]:
    """The ConfigMaps that pods mount which are not about to go."""
    pods = [pod for pod in sandbox.items("pods", pool="chat") if "deletionTimestamp" not in pod["metadata"]]
    return {each["configMap"]["name"] for pod in pods for each in pod["spec"]["volumes"] if "configMap" in each}


def options(sandbox: PoolSandbox) -> dict[str, str]:
    """The content of the file in each ConfigMap of the pool."""
    found = sandbox.items("configmaps", pool="chat")
    return {each["metadata"]["name"]: each["data"][OPTIONS_FILE] for each in found}


def test_other_options_make_other_pods_and_the_old_file_stays_as_long_as_its_pods(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("1.2.1")])
    sandbox.wait_until_ready("chat")
    [(name, content)] = options(sandbox).items()
    assert options_of_pods(sandbox) == {name}
    # No pod of this one starts, so the rollout does not end.
    sandbox.apply([chat("1.2.1", prefixCaching=False, image="local/none:1")])
    wait_for_condition(sandbox, "chat", "WorkloadReady", status="False", reason="ImageUnavailable")
    assert options(sandbox)[name] == content
    sandbox.apply([chat("1.2.1", prefixCaching=False)])
    eventually(lambda: options_of_pods(sandbox) and name not in options_of_pods(sandbox), "other pods", DEADLINE_S)
    eventually(lambda: name not in options(sandbox), "end of the old file", DEADLINE_S)
    [other] = options(sandbox).values()
    assert "enable_block_reuse: false" in other


def test_a_file_that_somebody_edits_is_as_planned_again(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("1.2.1")])
    sandbox.wait_until_ready("chat")
    [name] = planned = options(sandbox)
    sandbox.kubectl("patch", "configmap", name, "--patch", f'{{"data": {{"{OPTIONS_FILE}": "mine"}}}}')
    eventually(lambda: options(sandbox) == planned, "planned options", DEADLINE_S)


def test_an_idle_pool_is_known_to_be_idle(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("1.2.1")])
    sandbox.wait_until_ready("chat")
    [pod] = sandbox.items("pods", pool="chat")
    complete(pod, model="chat", max_tokens=5)
    wait_for_condition(sandbox, "chat", "MetricsFresh", status="True", reason="Fresh")
    seen = wait_for_condition(sandbox, "chat", "Validated", status="True", reason="Valid")
    assert "under steady load" in seen["message"]


def test_a_pool_whose_engine_has_gauges_grows_with_its_load(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("1.3.0", batching={"maxSequences": 2})])
    sandbox.wait_until_ready("chat")
    [pod] = sandbox.items("pods", pool="chat")
    enough = Event()

    def use() -> None:
        while not enough.is_set():
            complete(pod, model="chat", max_tokens=1000)

    with ThreadPoolExecutor(max_workers=8) as users:
        using = [users.submit(use) for _ in range(8)]
        try:
            eventually(lambda: size(sandbox) > 1, "second replica", DEADLINE_S)
        finally:
            enough.set()
    for one in using:
        one.result()


def size(sandbox: PoolSandbox) -> int:
    return int(get(sandbox, "deployment", "chat-main")["spec"]["replicas"])
