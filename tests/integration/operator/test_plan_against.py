"""`mixserve plan --against` and the cluster agree: what it foretells happens, and it writes nothing itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.pool_manifests import pool, variant
from support.pool_questions import APPLIED

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration


def against(sandbox: PoolSandbox, *manifests: dict[str, Any]) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("mixserve")), "plan", "-f", "-", "--against", "-o", "json"]
    done = subprocess.run(
        [*command, "--namespace", sandbox.namespace],
        input=yaml.safe_dump_all(manifests).encode(),
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "KUBECONFIG": str(sandbox.cluster.kubeconfig)},
    )
    assert done.returncode in {0, 1}, done.stderr.decode()
    return dict(json.loads(done.stdout)["pools"][0]["against"])


def test_a_new_pool_then_nothing_then_a_roll_out(sandbox: PoolSandbox) -> None:
    first = against(sandbox, pool())
    assert first["new"]
    assert {one["action"] for one in first["objects"]} == {"create"}
    assert sandbox.items(APPLIED, pool="chat") == []

    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")
    assert against(sandbox, pool()) == {
        "new": False,
        "refused": None,
        "planned": True,
        "objects": [],
        "replicas": [],
    }

    before = sandbox.pool("chat")
    changed = against(sandbox, pool("chat", variant(most=2), engine={"prefixCaching": False}))
    assert [(one["action"], one["name"]) for one in changed["objects"]] == [("roll out", "chat-main")]
    assert changed["replicas"] == [
        {"variant": "main", "before": {"min": 1, "max": 4}, "after": {"min": 1, "max": 2}, "running": 1}
    ]
    assert sandbox.pool("chat")["spec"] == before["spec"]
    sandbox.delete_pool("chat")


def test_what_the_api_server_refuses_is_told(sandbox: PoolSandbox) -> None:
    lost = pool()
    lost["metadata"]["namespace"] = "no-such-namespace"

    assert "not found" in against(sandbox, lost)["refused"]
