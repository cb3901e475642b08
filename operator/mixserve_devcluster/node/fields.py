"""The downward API: what a pod may be told about itself. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


class UnknownFieldError(Exception):
    """The downward API does not offer what is asked for."""


def field_value(pod: Mapping[str, Any], path: str) -> str:
    """The text that a `fieldRef` with this path stands for; empty where the pod has no such label or annotation.

    Raises:
        UnknownFieldError: the downward API does not have the path.
    """
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if subscript := _SUBSCRIPT.fullmatch(path):
        return str(metadata.get(subscript[1], {}).get(subscript[2], ""))
    match path:
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(metadata[path.removeprefix("metadata.")])
        case "metadata.labels" | "metadata.annotations":
            return _lines(metadata.get(path.removeprefix("metadata."), {}))
        case "spec.nodeName" | "spec.serviceAccountName":
            return str(spec.get(path.removeprefix("spec."), ""))
        case "status.hostIP" | "status.podIP":
            return str(status.get(path.removeprefix("status."), ""))
        case "status.hostIPs" | "status.podIPs":
            return ",".join(entry["ip"] for entry in status.get(path.removeprefix("status."), []))
    raise UnknownFieldError(f"the downward API has no field {path!r}")


def container_named(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The container of a pod, or the init container, that a `resourceFieldRef` names.

    Raises:
        UnknownFieldError: the pod has no such container.
    """
    for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])):
        if container["name"] == name:
            found: Mapping[str, Any] = container
            return found
    raise UnknownFieldError(f"container {name} not found")


def _lines(entries: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(entries.items()))
