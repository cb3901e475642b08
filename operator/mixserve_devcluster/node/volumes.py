"""What lies in a pod's volumes and where containers see it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.expansion import expand
from mixserve_devcluster.node.fields import container_named, field_value
from mixserve_devcluster.node.quantities import resource_value
from mixserve_devcluster.node.sources import SourceKind, SourceName, Sources, UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The volumes whose files the node writes.
FILE_VOLUMES = ("configMap", "secret", "downwardAPI", "projected")
# The API server fills this in; it is here for objects made in tests.
_DEFAULT_MODE = 0o644


@dataclass(frozen=True, kw_only=True)
class VolumeFile:
    """One file of a volume and its permissions."""

    content: bytes
    mode: int


@dataclass(frozen=True, kw_only=True)
class PodFacts:
    """What the files of a volume may depend on.

    Attributes:
        pod: the pod as the API has it, with its address in the status.
        sources: the secrets and config maps that exist.
        allocatable: of the node.
        tokens: service-account tokens by their path in the volume.
    """

    pod: Mapping[str, Any]
    sources: Sources
    allocatable: Mapping[str, str]
    tokens: Mapping[str, str]


def volume_files(volume: Mapping[str, Any], facts: PodFacts) -> dict[str, VolumeFile]:
    """The files of a volume that is one of FILE_VOLUMES, by path.

    Raises:
        UnresolvedError: a secret, config map or key that is not optional does not exist.
        UnknownFieldError: a field path or a container that the downward API does not have.
    """
    if projected := volume.get("projected"):
        mode = projected.get("defaultMode", _DEFAULT_MODE)
        files: dict[str, VolumeFile] = {}
        for source in projected.get("sources", []):
            files |= _source_files(source, facts, mode)
        return files
    kind = next(kind for kind in FILE_VOLUMES if kind in volume)
    source = dict(volume[kind])
    if kind == "secret":
        source["name"] = source["secretName"]
    return dict(_source_files({kind: source}, facts, source.get("defaultMode", _DEFAULT_MODE)))


def _source_files(source: Mapping[str, Any], facts: PodFacts, mode: int) -> Iterator[tuple[str, VolumeFile]]:
    for field, kind in (("configMap", SourceKind.CONFIG_MAP), ("secret", SourceKind.SECRET)):
        if reference := source.get(field):
            yield from _object_files(SourceName(kind, reference["name"]), reference, facts.sources, mode)
    for item in source.get("downwardAPI", {}).get("items", []):
        content = _downward(item, facts).encode()
        yield item["path"], VolumeFile(content=content, mode=item.get("mode", mode))
    if token := source.get("serviceAccountToken"):
        yield token["path"], VolumeFile(content=facts.tokens[token["path"]].encode(), mode=mode)
    if "clusterTrustBundle" in source or "podCertificate" in source:
        raise UnresolvedError("the local node has no trust bundles and pod certificates for projected volumes")


def _object_files(
    name: SourceName, reference: Mapping[str, Any], sources: Sources, mode: int
) -> Iterator[tuple[str, VolumeFile]]:
    optional = reference.get("optional", False)
    content = sources.all_of(name, optional=optional)
    for item in reference.get("items") or [{"key": key, "path": key} for key in content]:
        data = sources.one_of(name, item["key"], optional=optional)
        if data is not None:
            yield item["path"], VolumeFile(content=data, mode=item.get("mode", mode))


def _downward(item: Mapping[str, Any], facts: PodFacts) -> str:
    if reference := item.get("fieldRef"):
        return field_value(facts.pod, reference["fieldPath"])
    reference = item["resourceFieldRef"]
    container = container_named(facts.pod, reference["containerName"])
    return resource_value(container, reference, facts.allocatable)


@dataclass(frozen=True, kw_only=True)
class VolumeMount:
    """A volume, or `sub_path` in it, seen by a container at `path`."""

    volume: str
    path: str
    sub_path: str
    read_only: bool


def volume_mounts(
    container: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]
) -> list[VolumeMount]:
    """A container's mounts; `values` is its environment, for `subPathExpr`. What the node writes is read-only."""
    mounts = []
    for mount in container.get("volumeMounts", []):
        written_here = any(kind in volumes[mount["name"]] for kind in FILE_VOLUMES)
        sub_path = mount.get("subPath") or expand(mount.get("subPathExpr", ""), values)
        mounts.append(
            VolumeMount(
                volume=mount["name"],
                path=mount["mountPath"],
                sub_path=sub_path,
                read_only=written_here or mount.get("readOnly", False),
            )
        )
    return mounts
