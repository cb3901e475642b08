"""The status of the catalogue's entries: who uses them, and what nodes have. Written where it differs, a moment later.

Nodes and pods change in bursts: a rollout moves dozens of pods in seconds. So changes are collected for a moment, and
everything is worked out once for all of them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.catalog_status import AcceleratorClassStatus
from mixserve.api.cluster_observation import ClusterObservation, Unseen, UnseenReason
from mixserve.api.pool import LLMServingPool
from mixserve.apply.resources import ACCELERATORS, FORMATS, NODES, PODS
from mixserve.controller.object_cache import key_of
from mixserve.controller.parsed_specs import status_of
from mixserve.controller.status_writer import StatusWriter
from mixserve.observe.feed import Feed
from mixserve.observe.nodes import PODS_ON_NODES, observe_claim, observe_node
from mixserve.status.accelerator_status import build_accelerator_status
from mixserve.status.format_status import build_format_status
from mixserve.status.users import Users, accelerators_of, formats_of, users_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mixserve.api.base import StrictModel
    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.parsed_specs import ParsedSpecs

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)

# A burst of changes is one piece of news: what people see is at most this old.
_SETTLE_S = 1.0
# What could not be written, is tried again after this.
_RETRY_S = 30.0


class CatalogReporter:
    """Keeps the status of QuantizationFormats and AcceleratorClasses.

    Args:
        connection: to the API server.
        view: the catalogue and the pools.
        specs: parses, for others as well.
    """

    def __init__(self, connection: Connection, view: ClusterView, specs: ParsedSpecs) -> None:
        self._view = view
        self._specs = specs
        self._writer = StatusWriter(connection, view)
        self._news = asyncio.Event()
        self._retry: asyncio.TimerHandle | None = None
        self._nodes = Feed(connection, NODES, trim=observe_node, changed=self.look)
        self._claims = Feed(connection, PODS, trim=observe_claim, changed=self.look, field_selector=PODS_ON_NODES)

    def look(self) -> None:
        """There is news: look at everything soon."""
        self._news.set()

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._writer.forget(uid)

    async def run(self) -> None:
        """Watch nodes and pods, and write, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nodes.run(), name="nodes")
            group.create_task(self._claims.run(), name="pods on nodes")
            group.create_task(self._report(), name="catalogue")

    async def _report(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_SETTLE_S)
            self._news.clear()
            try:
                written = await self.write_all()
            except Exception:  # noqa: BLE001 - an entry on which this stumbles must not stop what serves
                _log.exception("catalog_look_failed")
                written = False
            self._retry_soon(needed=not written)

    def _retry_soon(self, *, needed: bool) -> None:
        """One timer at a time: each look that fails would otherwise begin a row of its own."""
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self.look) if needed else None

    async def write_all(self) -> bool:
        """Write what differs; return whether all of it could be."""
        outcomes = [await self._writer.write(resource, raw, status) for resource, raw, status in self._statuses()]
        return all(outcomes)

    def _statuses(self) -> Iterator[tuple[Resource, RawObject, StrictModel]]:
        """What is to be said of each entry."""
        pools = {str(key_of(raw)): self._specs.readable(LLMServingPool, raw) for raw in self._view.pools.all()}
        known = {name: pool for name, pool in pools.items() if pool is not None}
        by_format = users_by_name({name: formats_of(pool) for name, pool in known.items()})
        by_accelerator = users_by_name({name: accelerators_of(pool) for name, pool in known.items()})
        for raw in self._view.formats.all():
            users = by_format.get(raw["metadata"]["name"], Users())
            yield FORMATS, raw, build_format_status(generation=raw["metadata"]["generation"], users=users)
        yield from self._accelerators(by_accelerator)

    def _accelerators(self, users: Mapping[str, Users]) -> Iterator[tuple[Resource, RawObject, StrictModel]]:
        cluster = ClusterObservation(nodes=self._nodes.seen, claims=self._claims.seen)
        if _is_early(cluster.nodes) or _is_early(cluster.claims):  # an operator that has just started is no news
            return
        for raw in self._view.accelerators.all():
            entry = self._specs.readable(AcceleratorClass, raw)
            if entry is not None:
                status = build_accelerator_status(
                    entry,
                    cluster=cluster,
                    users=users.get(entry.metadata.name, Users()),
                    previous=status_of(AcceleratorClassStatus, raw),
                    now_s=time.time(),
                )
                yield ACCELERATORS, raw, status


def _is_early(seen: object) -> bool:
    return isinstance(seen, Unseen) and seen.reason is UnseenReason.NOT_LISTED
