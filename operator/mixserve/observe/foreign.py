"""Fields of our objects that somebody else has set, read from managedFields.

A forced apply restores what it lists. A sidecar, an environment variable or `paused: true` that somebody added is not
on that list and stays; here it is found, so that it can be reported.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixserve.api.names import FIELD_MANAGER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WATCHED_KINDS = frozenset({"Deployment", "Service", "PodDisruptionBudget"})
"""Kinds whose spec decides how the pool runs; ServiceAccounts and ConfigMaps have none."""

_CONTROLLERS = frozenset({"kube-controller-manager"})
_NOT_REPORTED = frozenset(
    {
        # One writer, but HPA, KEDA and `kubectl scale` write it as well: see autoscaling.mode.
        "spec.replicas",
        # `kubectl rollout restart`: a new ReplicaSet, the same pods.
        "spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]",
    }
)


def foreign_fields(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of the object's spec that others than Mixserve and Kubernetes' controllers have set, sorted.

    What belongs to an added list item or map as a whole is one path: `spec.template.spec.containers[name=sidecar]`.
    """
    if obj.get("kind") not in WATCHED_KINDS:
        return ()
    entries: list[Mapping[str, Any]] = obj["metadata"].get("managedFields", [])
    ours = [_spec_of(e) for e in entries if e.get("manager") == FIELD_MANAGER]
    theirs = [_spec_of(e) for e in entries if _is_foreign(e)]
    found = {path for spec in theirs for path in _paths(spec, ours, "spec")}
    return tuple(sorted(found - _NOT_REPORTED))


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("manager") != FIELD_MANAGER
        and entry.get("manager") not in _CONTROLLERS
        and not entry.get("subresource")
    )


def _spec_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = entry.get("fieldsV1", {}).get("f:spec", {})
    return spec


def _paths(theirs: Mapping[str, Any], ours: list[Mapping[str, Any]], prefix: str) -> Iterator[str]:
    """The topmost paths of `theirs` that no entry of `ours` knows."""
    for key, below in theirs.items():
        if key == ".":
            continue
        path = prefix + _readable(key)
        same = [entry[key] for entry in ours if key in entry]
        if not same and (not below or "." in below):
            yield path
        else:
            yield from _paths(below, same, path)


def _readable(key: str) -> str:
    """One step of a path: `f:env` is .env, `k:{"name":"x"}` is [name=x], `v:"x"` is [x], a label's key is [key]."""
    kind, _, rest = key.partition(":")
    if kind == "f":
        return f"[{rest}]" if "." in rest or "/" in rest else f".{rest}"
    if kind == "k":
        return "[" + ",".join(f"{name}={value}" for name, value in json.loads(rest).items()) + "]"
    return f"[{rest}]"
