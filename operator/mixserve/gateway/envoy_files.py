"""The files that Envoy reads: renamed into place, since it notices nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.envoy_module import module_path
from mixserve.plan.envoy.bootstrap import bootstrap
from mixserve.plan.envoy.clusters import POLL_PAUSE_S, clusters
from mixserve.plan.envoy.listener import certificate
from mixserve.plan.envoy.routes import route_configuration
from mixserve.route.table import RoutingTable

if TYPE_CHECKING:
    from mixserve.plan.envoy.resources import Resource
    from mixserve.plan.envoy.settings import EnvoySettings

SETTLE_S = 2.0
"""Envoy reads each file by itself; for so long a pool that no route names any more is kept."""

LEARN_S = 2 * POLL_PAUSE_S + 0.1
"""So long it may take until Envoy has asked for a pool's first endpoints; routes that name it before would fail."""


class EnvoyFiles:
    """Envoy's configuration as files in one directory.

    Args:
        settings: of Envoy.
        settle_s: how long Envoy may take to read a file.
        learn_s: how long it may take to learn of endpoints.
    """

    def __init__(self, settings: EnvoySettings, *, settle_s: float = SETTLE_S, learn_s: float = LEARN_S) -> None:
        self._settings = settings
        self._settle_s = settle_s
        self._learn_s = learn_s
        self._clusters: dict[str, Resource] = {}
        self._serving: frozenset[str] | None = None
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
        _put(module_path().read_bytes(), Path(settings.module_path))
        write(settings.bootstrap_path, bootstrap(settings))

    async def apply(self, table: RoutingTable) -> None:
        """Write routes and clusters: new pools before the routes that name them, old ones away after them.

        Endpoints have to be told before: a pool is named by the chains of policies only when Envoy can have its first.
        """
        async with self._lock:
            serving = frozenset(pool.name for pool in table.pools if pool.endpoints)
            wanted = {cluster["name"]: cluster for cluster in clusters(table, self._settings)}
            gone = self._clusters.keys() - wanted.keys()
            _write_resources(self._settings.clusters_path, list((self._clusters | wanted).values()))
            # At the start nobody waits: what Envoy has from before, it has all of.
            if self._serving is not None and serving - self._serving:
                await asyncio.sleep(self._learn_s)
            _write_resources(self._settings.routes_path, [route_configuration(table, self._settings)])
            self._clusters, self._serving = wanted, serving
            if gone:
                await asyncio.sleep(self._settle_s)
                _write_resources(self._settings.clusters_path, list(wanted.values()))


def write(path: str, value: Any) -> None:
    """Write a file of JSON beside its place and rename it; nothing is done where it is as wanted."""
    text = json.dumps(value, indent=1)
    _put(text.encode(), Path(path))


def _put(content: bytes, target: Path) -> None:
    if target.exists() and target.read_bytes() == content:
        return
    beside = target.with_name(f".{target.name}.new")
    beside.write_bytes(content)
    beside.replace(target)


def _write_resources(path: str, resources: list[Resource]) -> None:
    write(path, {"resources": resources})
