"""What somebody's hand changes of a pool that runs: sizes and labels, with engines that have metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import LABEL_ROUTABLE
from support.pool_manifests import pool, variant
from support.pool_questions import get
from support.waiting import eventually

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.e2e

# Seconds on a machine with nothing else to do, many times as many on a busy one.
DEADLINE_S = 120.0


def chat(mode: str) -> dict[str, Any]:
    return pool("chat", variant(accelerator="l4"), autoscaling={"mode": mode, "scaleDown": {"stabilization": "1s"}})


def start(sandbox: PoolSandbox, mode: str) -> None:
    sandbox.apply([chat(mode)])
    sandbox.wait_until_ready("chat")


def scale(sandbox: PoolSandbox, replicas: int) -> None:
    sandbox.kubectl("scale", "deployment", "chat-main", f"--replicas={replicas}")


def size(sandbox: PoolSandbox) -> int:
    return int(get(sandbox, "deployment", "chat-main")["spec"]["replicas"])


def seen(sandbox: PoolSandbox) -> tuple[int, int, str]:
    """What the operator says that it has seen and thinks: replicas, ready ones, what limits the pool."""
    status = sandbox.pool("chat")["status"]
    [row] = status["variants"]
    return row["replicas"], row["ready"], status["limitedBy"]


def test_a_native_pool_gets_its_size_back(sandbox: PoolSandbox) -> None:
    start(sandbox, "Native")
    scale(sandbox, 3)
    eventually(lambda: size(sandbox) == 1, "one replica", DEADLINE_S)
    eventually(lambda: len(sandbox.items("pods", pool="chat")) == 1, "one pod", DEADLINE_S)
    sandbox.wait_until_ready("chat")


@pytest.mark.parametrize("replicas", [3, 0], ids=["larger", "smaller-than-its-minimum"])
def test_an_external_pool_keeps_the_size_that_it_is_given(sandbox: PoolSandbox, replicas: int) -> None:
    start(sandbox, "External")
    scale(sandbox, replicas)
    generation = get(sandbox, "deployment", "chat-main")["metadata"]["generation"]
    eventually(lambda: seen(sandbox) == (replicas, replicas, "NotNative"), "look at the new size", DEADLINE_S)
    assert size(sandbox) == replicas
    assert get(sandbox, "deployment", "chat-main")["metadata"]["generation"] == generation


@pytest.mark.parametrize("mode", ["Native", "External"])
def test_a_pod_gets_its_label_back(sandbox: PoolSandbox, mode: str) -> None:
    start(sandbox, mode)
    [pod] = sandbox.items("pods", pool="chat")
    name = pod["metadata"]["name"]
    sandbox.kubectl("label", "pod", name, f"{LABEL_ROUTABLE}-")

    def is_routable() -> bool:
        return bool(get(sandbox, "pod", name)["metadata"]["labels"].get(LABEL_ROUTABLE) == "true")

    eventually(is_routable, "label", DEADLINE_S)
