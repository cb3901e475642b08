"""The files that Envoy reads: renamed into place, since it notices nothing else.

Envoy reads routes, clusters and endpoints each by itself, so what is named has to be there before who names it, and
has to stay until after. How far Envoy is it says itself, at its administration interface: whether it has a pool's
endpoints, and by their version whether it has the routes. One time remains that nobody tells: `UNDER_WAY_S`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.envoy_module import module_path
from mixserve.gateway.envoy_admin import EnvoyAdminError
from mixserve.plan.envoy.bootstrap import bootstrap
from mixserve.plan.envoy.clusters import clusters
from mixserve.plan.envoy.listener import certificate
from mixserve.plan.envoy.routes import route_configuration
from mixserve.route.table import RoutingTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixserve.gateway.envoy_admin import EnvoyAdmin
    from mixserve.plan.envoy.resources import Resource
    from mixserve.plan.envoy.settings import EnvoySettings

_log = structlog.get_logger(__name__)

UNDER_WAY_S = 2.0
"""A request follows the routes that there were when it came. So long what older routes name is kept after Envoy has
read newer ones: most requests that came before have been decided upon and sent on by then."""

_LOOK_S = 0.02
# At most Envoy is waited for. It needs some 30 ms, half a second where it has yet to ask for the endpoints; one that
# needs more is hardly serving.
_LEARN_S = 5.0


class EnvoyFiles:
    """Envoy's configuration as files in one directory.

    Args:
        settings: of Envoy.
        envoy: says what Envoy has read.
        under_way_s: how long requests follow older routes.
    """

    def __init__(self, settings: EnvoySettings, envoy: EnvoyAdmin, *, under_way_s: float = UNDER_WAY_S) -> None:
        self._settings = settings
        self._envoy = envoy
        self._under_way_s = under_way_s
        self._clusters: dict[str, Resource] = {}
        self._wanted: dict[str, Resource] = {}
        self._serving: frozenset[str] | None = None
        self._version = ""
        self._read_at_s: float | None = None

    async def apply(self, table: RoutingTable) -> None:
        """Write clusters and routes: new pools before the routes that name them; old ones stay until `let_go`.

        Endpoints have to be told before: a pool is named by the chains of policies only when Envoy has its first.
        """
        serving = frozenset(pool.name for pool in table.pools if pool.endpoints)
        self._wanted = {cluster["name"]: cluster for cluster in clusters(table, self._settings)}
        self._write_clusters(self._clusters | self._wanted)
        # At the start nobody waits: what Envoy has from before, it has all of.
        if self._serving is not None and serving - self._serving:
            await self._learned(serving - self._serving)
        self._serving = serving
        before = self._version
        self._version = _write_resources(self._settings.routes_path, [route_configuration(table, self._settings)])
        if self._version != before:
            self._read_at_s = None

    async def is_followed(self) -> bool:
        """Whether all requests follow the routes that were written last."""
        if self._read_at_s is None:
            try:
                if await self._envoy.routes_version() != self._version:
                    return False
            except EnvoyAdminError:  # it is asked again
                return False
            self._read_at_s = time.monotonic()
        return time.monotonic() - self._read_at_s >= self._under_way_s

    def let_go(self) -> None:
        """Leave out pools that the table does not have any more; for when nobody follows routes that name them."""
        self._write_clusters(self._wanted)

    def _write_clusters(self, resources: dict[str, Resource]) -> None:
        _write_resources(self._settings.clusters_path, resources.values())
        self._clusters = resources

    async def _learned(self, pools: frozenset[str]) -> None:
        """Wait until Envoy has endpoints of these pools; routes that name them before would fail."""
        try:
            async with asyncio.timeout(_LEARN_S):
                while not pools <= await self._envoy.pools_with_endpoints():  # noqa: ASYNC110 - Envoy tells no event
                    await asyncio.sleep(_LOOK_S)
        except (TimeoutError, EnvoyAdminError) as error:  # without an Envoy nobody comes to harm
            _log.warning("endpoints_unconfirmed", pools=sorted(pools), error=f"{type(error).__name__}: {error}")


def prepare(settings: EnvoySettings) -> None:
    """Write what Envoy needs to start; files that are there are kept, except for the bootstrap configuration."""
    empty = RoutingTable(namespace="")
    if not Path(settings.clusters_path).exists():
        _write_resources(settings.clusters_path, [])
    if not Path(settings.routes_path).exists():
        _write_resources(settings.routes_path, [route_configuration(empty, settings)])
    if settings.tls_directory is not None:
        write(settings.certificate_path, certificate(settings))
    _put(module_path().read_bytes(), Path(settings.module_path))
    write(settings.bootstrap_path, bootstrap(settings))


def write(path: str, value: Any) -> None:
    """Write a file of JSON beside its place and rename it; nothing is done where it is as wanted."""
    _put(json.dumps(value, indent=1).encode(), Path(path))


def _put(content: bytes, target: Path) -> None:
    if target.exists() and target.read_bytes() == content:
        return
    beside = target.with_name(f".{target.name}.new")
    beside.write_bytes(content)
    beside.replace(target)


def _write_resources(path: str, resources: Iterable[Resource]) -> str:
    """Write resources with a version, which comes from the content; return it."""
    listed = list(resources)
    version = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]
    write(path, {"version_info": version, "resources": listed})
    return version
