"""Pods and Deployments as the API server sends them, cut down to what a test is about."""

from __future__ import annotations

from typing import Any

from mixserve.api.names import LABEL_POOL, LABEL_ROUTABLE, LABEL_VARIANT


def pod(
    name: str = "p-0",
    *,
    ready: bool = True,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    containers: list[dict[str, Any]] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """A ready and routable pod of variant "v" of pool "p", unless said otherwise."""
    default_labels = {LABEL_POOL: "p", LABEL_VARIANT: "v", LABEL_ROUTABLE: "true"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": default_labels if labels is None else labels,
            "annotations": annotations or {},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "p-v-1", "uid": "rs", "controller": True}],
            **metadata,
        },
        "status": {
            "phase": "Running",
            "podIP": "127.0.0.9",
            "conditions": conditions or [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": containers or [{"name": "engine", "ready": ready, "state": {"running": {}}}],
        },
    }


def deployment(name: str = "p-v", *, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A Deployment of pool "p" with two replicas, all of the current template, unless said otherwise."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "generation": 3,
            "labels": {LABEL_POOL: "p"},
            **metadata,
        },
        "spec": {"replicas": 2},
        "status": status or {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2},
    }
