"""The files that Envoy reads: renamed into place, since it notices nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.plan.envoy.bootstrap import bootstrap
from mixserve.plan.envoy.clusters import clusters
from mixserve.plan.envoy.listener import certificate
from mixserve.plan.envoy.routes import route_configuration
from mixserve.route.table import RoutingTable

if TYPE_CHECKING:
    from mixserve.plan.envoy.resources import Resource
    from mixserve.plan.envoy.settings import EnvoySettings

SETTLE_S = 2.0
"""Envoy reads each file by itself; for so long a pool that no route names any more is kept."""


class EnvoyFiles:
    """Envoy's configuration as files in one directory."""

    def __init__(self, settings: EnvoySettings, *, settle_s: float = SETTLE_S) -> None:
        self._settings = settings
        self._settle_s = settle_s
        self._clusters: dict[str, Resource] = {}
        self._lock = asyncio.Lock()

    def prepare(self) -> None:
        """Write what Envoy needs to start; files that are there are kept, except for the bootstrap configuration."""
        settings = self._settings
        empty = RoutingTable(namespace="")
        if not Path(settings.clusters_path).exists():
            _write_resources(settings.clusters_path, [])
        if not Path(settings.routes_path).exists():
            _write_resources(settings.routes_path, [route_configuration(empty, settings)])
        if settings.tls_directory is not None:
            write(settings.certificate_path, certificate(settings))
        write(settings.bootstrap_path, bootstrap(settings))

    async def apply(self, table: RoutingTable) -> None:
        """Write routes and clusters: new pools before the routes that name them, old ones away after them."""
        async with self._lock:
            wanted = {cluster["name"]: cluster for cluster in clusters(table)}
            gone = self._clusters.keys() - wanted.keys()
            _write_resources(self._settings.clusters_path, list((self._clusters | wanted).values()))
            _write_resources(self._settings.routes_path, [route_configuration(table, self._settings)])
            self._clusters = wanted
            if gone:
                await asyncio.sleep(self._settle_s)
                _write_resources(self._settings.clusters_path, list(wanted.values()))


def write(path: str, value: Any) -> None:
    """Write a file of JSON beside its place and rename it; nothing is done where it is as wanted."""
    text = json.dumps(value, indent=1)
    target = Path(path)
    if target.exists() and target.read_text() == text:
        return
    beside = target.with_name(f".{target.name}.new")
    beside.write_text(text)
    beside.replace(target)


def _write_resources(path: str, resources: list[Resource]) -> None:
    write(path, {"resources": resources})
