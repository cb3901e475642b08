"""The end of a gateway: it takes no more clients, and finishes what it carries."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from mixserve.gateway.envoy_admin import EnvoyAdminError

if TYPE_CHECKING:
    from mixserve.gateway.envoy_admin import EnvoyAdmin

_log = structlog.get_logger(__name__)

LOOK_S = 0.5
QUIET_S = 5.0
"""Nodes and load balancers send clients for a while after the pod was taken out of the Service."""
PATIENCE = 4
"""So many looks in a row may fail: an Envoy that has much to do, or is just restarted, still carries requests."""


async def resume(envoy: EnvoyAdmin) -> None:
    """Take back what an earlier process may have told: one that was ended alone, and not with its pod, has drained."""
    try:
        await envoy.end_draining()
    except EnvoyAdminError as error:  # one that is not there yet has not been told either
        _log.warning("drain_not_taken_back", error=str(error))


async def drain(envoy: EnvoyAdmin, *, stat_prefix: str, most_s: float, quiet_s: float = QUIET_S) -> None:
    """Wait until no request has been under way for a while, or the time is over.

    Args:
        envoy: this pod's.
        stat_prefix: of the listeners' connection managers.
        most_s: how long to wait at most.
        quiet_s: how long there must have been nothing.
    """
    deadline_s, quiet_since_s, active, failures = time.monotonic() + most_s, time.monotonic(), 0, 0
    is_told = False
    while (now_s := time.monotonic()) < deadline_s:
        try:
            if not is_told:
                await envoy.begin_to_drain()
                is_told = True
            active, failures = await envoy.active_requests(stat_prefix), 0
        except EnvoyAdminError as error:
            failures += 1
            if failures == PATIENCE:  # it has gone already
                _log.warning("drain_ended", error=str(error))
                return
        if active or failures:
            quiet_since_s = now_s
        elif now_s - quiet_since_s >= quiet_s:
            _log.info("gateway_drained")
            return
        await asyncio.sleep(LOOK_S)
    _log.warning("drain_overdue", active_requests=active, most_s=most_s)
