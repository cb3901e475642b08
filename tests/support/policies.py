"""RoutingPolicies: a test names only what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.routing_policy import RoutingPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


def policy_manifest(
    name: str = "auto",
    *,
    namespace: str | None = None,
    small: str = "small",
    large: str = "large",
    **spec: Any,
) -> dict[str, Any]:
    """A policy with a small and a large pool, unless told."""
    tiers = [
        {"name": "small", "maxComplexity": 2, "targets": [{"poolRef": {"name": small}}]},
        {"name": "large", "maxComplexity": 5, "targets": [{"poolRef": {"name": large}}]},
    ]
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": metadata,
        "spec": {"tiers": tiers, **spec},
    }


def stored_policy(
    name: str = "auto",
    *,
    created: str = "2026-01-01T00:00:00Z",
    generation: int = 1,
    version: int = 1,
    **fields: Any,
) -> dict[str, Any]:
    """The same as the API server sends it."""
    raw = policy_manifest(name, namespace="llm", **fields)
    metadata = {
        **raw["metadata"],
        "uid": f"uid-{name}",
        "generation": generation,
        "resourceVersion": str(version),
        "creationTimestamp": created,
    }
    return {**raw, "metadata": metadata}


def policy(name: str = "auto", *, raw: Mapping[str, Any] | None = None, **fields: Any) -> RoutingPolicy:
    """The same, parsed."""
    return RoutingPolicy.parse(stored_policy(name, **fields) if raw is None else raw)
