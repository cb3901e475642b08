"""What tests ask about a pool."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.waiting import eventually

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

# What the operator applies; Kubernetes makes the rest of it.
APPLIED = "deployments,services,serviceaccounts,configmaps,poddisruptionbudgets"


def condition(sandbox: PoolSandbox, name: str, kind: str) -> dict[str, Any]:
    """A condition of a pool; empty while there is none."""
    conditions = sandbox.pool(name).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def wait_for_condition(sandbox: PoolSandbox, name: str, kind: str, *, status: str, reason: str) -> dict[str, Any]:
    """Wait until a condition of a pool has a status and a reason, which may take a Job of its own on a busy machine."""

    def look() -> dict[str, Any]:
        seen = condition(sandbox, name, kind)
        return seen if (seen.get("status"), seen.get("reason")) == (status, reason) else {}

    return eventually(look, f"{kind} {status} {reason} of {name}", 120.0)


def get(sandbox: PoolSandbox, kind: str, name: str) -> dict[str, Any]:
    """One object."""
    return dict(json.loads(sandbox.kubectl("get", kind, name, "--output", "json")))


def find(sandbox: PoolSandbox, kind: str, name: str) -> dict[str, Any]:
    """One object; empty if there is none."""
    found = sandbox.kubectl("get", kind, name, "--output", "json", "--ignore-not-found")
    return dict(json.loads(found)) if found else {}


def versions(sandbox: PoolSandbox, pool: str) -> dict[str, str]:
    """The resource versions of a pool and of what was applied for it, by kind and name."""
    objects = [sandbox.pool(pool), *sandbox.items(APPLIED, pool=pool)]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in objects}
