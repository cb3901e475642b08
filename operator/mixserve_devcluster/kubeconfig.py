"""kubeconfig files: one cluster, one user, readable by their owner only."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from mixserve_devcluster.certificates import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve.controller.webhook.authority import KeyPair


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an API server is and which authority its certificate comes from (PEM)."""

    server: str
    authority: bytes


def read_endpoint(path: Path) -> Endpoint:
    """Return the API server that a kubeconfig written here leads to."""
    cluster = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"])
    return Endpoint(server=cluster["server"], authority=authority)


def write_for_certificate(path: Path, endpoint: Endpoint, client: KeyPair) -> Path:
    """Write a kubeconfig that authenticates with a client certificate; return `path`."""
    user = {
        "client-certificate-data": _base64(client.certificate),
        "client-key-data": _base64(client.key),
    }
    return _write(path, endpoint, user)


def write_for_token(path: Path, endpoint: Endpoint, token: str) -> Path:
    """Write a kubeconfig that authenticates with a bearer token; return `path`."""
    return _write(path, endpoint, {"token": token})


def _write(path: Path, endpoint: Endpoint, user: dict[str, str]) -> Path:
    name = "mixserve-devcluster"
    cluster = {"server": endpoint.server, "certificate-authority-data": _base64(endpoint.authority)}
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return write_private(path, yaml.safe_dump(content, sort_keys=False).encode())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
