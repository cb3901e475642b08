"""What a pool has come to, in a form in which two pools can be compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.pool_questions import APPLIED

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox


def state(sandbox: PoolSandbox, name: str) -> list[str]:
    """A pool's objects and the part of its status that does not depend on time, without the pool's name."""
    objects = sandbox.items(APPLIED + ",replicasets,pods", pool=name)
    specs = [{"kind": one["kind"], "spec": _spec(one), "labels": _labels(one)} for one in objects]
    status = sandbox.pool(name).get("status", {})
    kept = {key: status.get(key) for key in ("desired", "ready", "starting", "limitedBy", "variants")}
    kept["conditions"] = [(each["type"], each["status"], each["reason"]) for each in status.get("conditions", ())]
    return sorted(json.dumps(one, sort_keys=True).replace(name, "NAME") for one in [*specs, kept])


def _labels(obj: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in obj["metadata"]["labels"].items() if key != "pod-template-hash"}


def _spec(obj: dict[str, Any]) -> dict[str, Any]:
    """The spec without what Kubernetes chooses for each object."""
    if obj["kind"] == "Pod":
        return {}
    if obj["kind"] == "ReplicaSet":
        return {"replicas": obj["spec"]["replicas"]}
    return {key: value for key, value in obj.get("spec", {}).items() if not key.startswith("clusterIP")}
