"""Secrets and config maps: which of them a pod needs, and their contents. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class UnresolvedError(Exception):
    """Something that a pod refers to does not exist (yet); worded as a kubelet words it."""


class SourceKind(StrEnum):
    """The kinds of objects with contents for pods; the value is how messages call one."""

    SECRET = "secret"  # noqa: S105 - the name of a kind
    CONFIG_MAP = "configmap"


@dataclass(frozen=True, order=True)
class SourceName:
    """One object of the pod's namespace."""

    kind: SourceKind
    name: str


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The objects that exist, each with its contents."""

    namespace: str
    contents: Mapping[SourceName, Mapping[str, bytes]] = field(default_factory=dict)

    def all_of(self, name: SourceName, *, optional: bool) -> Mapping[str, bytes]:
        """The whole content; empty for an optional object that does not exist.

        Raises:
            UnresolvedError: the object does not exist.
        """
        if name in self.contents:
            return self.contents[name]
        if optional:
            return {}
        raise UnresolvedError(f'{name.kind} "{name.name}" not found')

    def one_of(self, name: SourceName, key: str, *, optional: bool) -> bytes | None:
        """The content of one key; None for an optional one that does not exist.

        Raises:
            UnresolvedError: the object or the key does not exist.
        """
        content = self.all_of(name, optional=optional)
        if key in content or optional:
            return content.get(key)
        kind = "Secret" if name.kind is SourceKind.SECRET else "ConfigMap"
        raise UnresolvedError(f"couldn't find key {key} in {kind} {self.namespace}/{name.name}")


def decode(name: SourceName, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The contents of a Secret or ConfigMap as the API returns it."""
    encoded = "data" if name.kind is SourceKind.SECRET else "binaryData"
    content = {key: base64.b64decode(value) for key, value in (manifest.get(encoded) or {}).items()}
    if name.kind is SourceKind.CONFIG_MAP:
        content |= {key: value.encode() for key, value in (manifest.get("data") or {}).items()}
    return content


def names_in_environment(container: Mapping[str, Any]) -> set[SourceName]:
    """What a container's environment refers to."""
    found = set()
    for entry in container.get("env", []):
        value_from = entry.get("valueFrom", {})
        found |= _named(value_from.get("secretKeyRef"), SourceKind.SECRET)
        found |= _named(value_from.get("configMapKeyRef"), SourceKind.CONFIG_MAP)
    for entry in container.get("envFrom", []):
        found |= _named(entry.get("secretRef"), SourceKind.SECRET)
        found |= _named(entry.get("configMapRef"), SourceKind.CONFIG_MAP)
    return found


def names_in_volumes(volumes: list[dict[str, Any]]) -> set[SourceName]:
    """What a pod's volumes refer to."""
    found = set()
    for volume in volumes:
        if secret := volume.get("secret"):
            found.add(SourceName(SourceKind.SECRET, secret["secretName"]))
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            found |= _named(source.get("configMap"), SourceKind.CONFIG_MAP)
        for source in volume.get("projected", {}).get("sources", []):
            found |= _named(source.get("secret"), SourceKind.SECRET)
    return found


def _named(reference: Mapping[str, Any] | None, kind: SourceKind) -> set[SourceName]:
    return {SourceName(kind, reference["name"])} if reference else set()


def service_account_tokens(volume: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The service-account tokens that a volume asks for."""
    for source in volume.get("projected", {}).get("sources", []):
        if "serviceAccountToken" in source:
            yield source["serviceAccountToken"]
