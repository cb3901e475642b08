"""Goes through the log again and again, and keeps it short."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from mixserve.gateway.envoy_admin import EnvoyAdminError

if TYPE_CHECKING:
    from mixserve.gateway.accounting.following import LogFollower
    from mixserve.gateway.envoy_admin import EnvoyAdmin

_log = structlog.get_logger(__name__)

_LOOK_S = 0.5
_SAVE_S = 5.0


async def keep_books(follower: LogFollower, envoy: EnvoyAdmin) -> None:
    """Count until cancelled; what was counted is kept then as well."""
    saved_s = time.monotonic()
    try:
        while True:
            more = follower.read()
            if time.monotonic() - saved_s >= _SAVE_S:
                await asyncio.to_thread(follower.save)
                saved_s = time.monotonic()
                await _shorten(follower, envoy)
            # Also with more to read: decisions come first.
            await asyncio.sleep(0.0 if more else _LOOK_S)
    finally:
        follower.close()


async def _shorten(follower: LogFollower, envoy: EnvoyAdmin) -> None:
    if follower.is_long:
        follower.put_aside()
    if not follower.awaits_new_file:
        return
    try:
        await envoy.reopen_logs()
    except EnvoyAdminError as error:  # it writes to the file that was put aside until it is told
        _log.warning("log_not_reopened", error=str(error))
