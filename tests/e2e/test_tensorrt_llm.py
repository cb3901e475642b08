"""What is particular to pools of TensorRT-LLM: the file of options, and two kinds of metrics."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_OPTIONS_HASH
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
OPTIONS = "chat-main-engine-options"


def chat(version: str, **engine: Any) -> dict[str, Any]:
    return pool("chat", engine={"type": "tensorrt-llm", "version": version, **engine})


def option_hashes(sandbox: PoolSandbox) -> set[str]:
    """Of the pods that are not about to go."""
    pods = [pod["metadata"] for pod in sandbox.items("pods", pool="chat")]
    return {pod["annotations"][ANNOTATION_OPTIONS_HASH] for pod in pods if "deletionTimestamp" not in pod}


def test_another_option_in_the_file_makes_other_pods(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("1.2.1")])
    sandbox.wait_until_ready("chat")
    before = option_hashes(sandbox)
    sandbox.apply([chat("1.2.1", prefixCaching=False)])
    sandbox.wait_until_ready("chat")
    assert "enable_block_reuse: false" in get(sandbox, "configmap", OPTIONS)["data"][OPTIONS_FILE]
    eventually(lambda: not option_hashes(sandbox) & before, "end of the pods with other options", DEADLINE_S)


def test_a_file_that_somebody_edits_is_as_planned_again(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("1.2.1")])
    sandbox.wait_until_ready("chat")
    planned = get(sandbox, "configmap", OPTIONS)["data"]
    sandbox.kubectl("patch", "configmap", OPTIONS, "--patch", f'{{"data": {{"{OPTIONS_FILE}": "mine"}}}}')
    eventually(lambda: get(sandbox, "configmap", OPTIONS)["data"] == planned, "planned options", DEADLINE_S)


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
