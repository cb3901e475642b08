"""Volumes that are a place on the host: hostPath, and claims bound to hostPath or local volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.api_server import ApiServer, NotFoundError
from mixserve_devcluster.node.sources import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a hostPath of each type has to be; of other types (sockets, devices) it just has to be there.
_CHECKS = {
    "Directory": Path.is_dir,
    "DirectoryOrCreate": Path.is_dir,
    "File": Path.is_file,
    "FileOrCreate": Path.is_file,
}


def host_path(source: Mapping[str, Any]) -> Path:
    """The path of a `hostPath` source, made if its type says so.

    Raises:
        UnresolvedError: it is not there, or not of its type.
    """
    path, kind = Path(source["path"]), source.get("type", "")
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    if not path.exists():
        raise UnresolvedError(f"hostPath type check failed: {path} does not exist")
    if kind in _CHECKS and not _CHECKS[kind](path):
        raise UnresolvedError(f"hostPath type check failed: {path} is not a {kind.removesuffix('OrCreate').lower()}")
    return path


async def claimed_path(api: ApiServer, namespace: str, claim: str) -> Path:
    """The path of the volume that a claim is bound to.

    Raises:
        UnresolvedError: there is no such claim, it is not bound, or its volume is none that lies on the host.
        ApiError: the API server does not say.
    """
    try:
        manifest = await api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
    except NotFoundError as error:
        raise UnresolvedError(f'persistentvolumeclaim "{claim}" not found') from error
    volume_name = manifest["spec"].get("volumeName")
    if not volume_name:
        raise UnresolvedError(f'persistentvolumeclaim "{claim}" is not bound to a persistent volume')
    spec = (await api.get(f"/api/v1/persistentvolumes/{volume_name}"))["spec"]
    source = spec.get("hostPath") or spec.get("local")
    if source is None:
        raise UnresolvedError(
            f'persistent volume "{volume_name}" is not on this host: the local node has only hostPath and local ones'
        )
    return host_path(source)
