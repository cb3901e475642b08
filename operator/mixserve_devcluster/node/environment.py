"""A container's environment and command line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mixserve_devcluster.node.expansion import expand
from mixserve_devcluster.node.fields import container_named, field_value
from mixserve_devcluster.node.quantities import resource_value
from mixserve_devcluster.node.sources import SourceKind, SourceName, UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mixserve_devcluster.node.sources import Sources


def service_environment(api_server: str) -> dict[str, str]:
    """The variables by which a pod finds the API server; a kubelet sets them with or without service links."""
    address = urlsplit(api_server)
    return {
        "KUBERNETES_SERVICE_HOST": str(address.hostname),
        "KUBERNETES_SERVICE_PORT": str(address.port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(address.port),
    }


def declared_environment(
    *,
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    sources: Sources,
    allocatable: Mapping[str, str],
    services: Mapping[str, str],
) -> dict[str, str]:
    """What `envFrom` and `env` of a container declare; a later entry wins and may refer to earlier ones.

    Raises:
        UnresolvedError: a secret, config map or key that is not optional does not exist.
        UnknownFieldError: a field path or a container that the downward API does not have.
    """
    values: dict[str, str] = {}
    for entry in container.get("envFrom", []):
        values |= _imported(entry, sources)
    for entry in container.get("env", []):
        value_from = entry.get("valueFrom")
        if not value_from:
            values[entry["name"]] = expand(entry.get("value", ""), {**services, **values})
        elif (value := _referenced(value_from, pod, container, sources, allocatable)) is not None:
            values[entry["name"]] = value
    return values


def _imported(entry: Mapping[str, Any], sources: Sources) -> Iterator[tuple[str, str]]:
    for field, kind in (("configMapRef", SourceKind.CONFIG_MAP), ("secretRef", SourceKind.SECRET)):
        if reference := entry.get(field):
            content = sources.all_of(SourceName(kind, reference["name"]), optional=reference.get("optional", False))
            for key, value in content.items():
                yield entry.get("prefix", "") + key, value.decode(errors="replace")


def _referenced(
    value_from: Mapping[str, Any],
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    sources: Sources,
    allocatable: Mapping[str, str],
) -> str | None:
    if reference := value_from.get("fieldRef"):
        return field_value(pod, reference["fieldPath"])
    if reference := value_from.get("resourceFieldRef"):
        name = reference.get("containerName")
        return resource_value(container_named(pod, name) if name else container, reference, allocatable)
    for field, kind in (("configMapKeyRef", SourceKind.CONFIG_MAP), ("secretKeyRef", SourceKind.SECRET)):
        if reference := value_from.get(field):
            name = SourceName(kind, reference["name"])
            value = sources.one_of(name, reference["key"], optional=reference.get("optional", False))
            return None if value is None else value.decode(errors="replace")
    raise UnresolvedError(f"valueFrom has none of the sources that the local node knows: {', '.join(value_from)}")


def expanded(words: Sequence[str], declared: Mapping[str, str], services: Mapping[str, str]) -> list[str]:
    """Command or arguments with their references resolved."""
    return [expand(word, {**services, **declared}) for word in words]


def with_paths_moved(text: str, moves: Mapping[str, str]) -> str:
    """A path at or below a mount path, moved to where the volume is on the host; any other text as it is.

    For hosts where a process cannot have mounts of its own. `moves` maps mount paths to paths of the host.
    """
    for mount_path in sorted(moves, key=len, reverse=True):
        if text == mount_path or text.startswith(mount_path.rstrip("/") + "/"):
            return moves[mount_path] + text[len(mount_path) :]
    return text
