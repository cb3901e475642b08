"""Fetches the secrets and config maps that pods refer to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mixserve_devcluster.node.api_server import ApiServer, NotFoundError
from mixserve_devcluster.node.sources import SourceKind, SourceName, Sources, decode

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLLECTIONS = {SourceKind.SECRET: "secrets", SourceKind.CONFIG_MAP: "configmaps"}


async def read_sources(api: ApiServer, namespace: str, names: Iterable[SourceName]) -> Sources:
    """Fetch what exists of the named objects.

    Raises:
        ApiError: the API server does not say whether one of them exists.
    """
    wanted = sorted(names)
    found = await asyncio.gather(*(_read(api, namespace, name) for name in wanted))
    contents = {name: content for name, content in zip(wanted, found, strict=True) if content is not None}
    return Sources(namespace=namespace, contents=contents)


async def _read(api: ApiServer, namespace: str, name: SourceName) -> dict[str, bytes] | None:
    try:
        manifest = await api.get(f"/api/v1/namespaces/{namespace}/{_COLLECTIONS[name.kind]}/{name.name}")
    except NotFoundError:
        return None
    return decode(name, manifest)
