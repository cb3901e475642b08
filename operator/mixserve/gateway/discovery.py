"""Envoy's questions for a pool's endpoints: each is held until they are others than Envoy has, or half a minute."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

from mixserve.gateway.unix_server import Request, response
from mixserve.plan.envoy.clusters import ENDPOINTS_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/v3/discovery:endpoints"

HOLD_S = 30.0
"""Well below the time limit that Envoy has for a question (`plan.envoy.clusters`)."""

_NOT_YET = response(503, {})


class EndpointDiscovery:
    """What Envoy is told about endpoints; versions come from the content, so that a restart changes nothing."""

    def __init__(self, *, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._known: dict[str, tuple[str, Any]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._updated = asyncio.Event()

    def update(self, assignments: Mapping[str, Any]) -> None:
        """Replace what is known: by pool, what `plan.envoy.clusters.endpoints` makes."""
        known = {pool: (_version(assignment), assignment) for pool, assignment in assignments.items()}
        changed = {pool for pool in known.keys() | self._known.keys() if known.get(pool) != self._known.get(pool)}
        self._known = known
        for pool in changed:
            if (event := self._changed.pop(pool, None)) is not None:
                event.set()
        self._updated.set()

    async def handle(self, request: Request) -> bytes:
        """Answer a DiscoveryRequest for the endpoints of one or more pools."""
        if not await self._is_informed():
            return _NOT_YET
        asked = json.loads(request.body)
        pools = asked.get("resource_names", [])
        if self._version_of(pools) == asked.get("version_info"):
            await self._wait(pools)
        body = {
            "version_info": self._version_of(pools),
            "type_url": ENDPOINTS_TYPE,
            "resources": [self._of(pool)[1] for pool in pools],
        }
        return response(200, {"content-type": "application/json"}, json.dumps(body).encode())

    async def _is_informed(self) -> bool:
        """A process that has just started knows of no endpoint: until it does, Envoy keeps those that it has."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._updated.wait(), self._hold_s)
        return self._updated.is_set()

    def _version_of(self, pools: list[str]) -> str:
        return ".".join(self._of(pool)[0] for pool in pools)

    def _of(self, pool: str) -> tuple[str, Any]:
        """A pool that has just gone, or has not been seen yet, has no endpoints."""
        return self._known.get(pool, ("none", {"@type": ENDPOINTS_TYPE, "cluster_name": pool, "endpoints": []}))

    async def _wait(self, pools: list[str]) -> None:
        events = [self._changed.setdefault(pool, asyncio.Event()).wait() for pool in pools]
        tasks = [asyncio.ensure_future(event) for event in events]
        try:
            await asyncio.wait(tasks, timeout=self._hold_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def _version(assignment: Any) -> str:
    return hashlib.sha256(json.dumps(assignment, sort_keys=True).encode()).hexdigest()[:16]
