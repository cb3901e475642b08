"""One of several operators works, the one that holds the Lease; the others wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection

from mixserve.controller.lease_lock import LeaseLock

if TYPE_CHECKING:
    from mixserve.apply.connection import Connection
    from mixserve.controller.settings import Settings

_log = structlog.get_logger(__name__)


class LeadershipLostError(Exception):
    """The Lease could not be renewed in time; somebody else may lead by now, so this process has to end."""


class Leadership:
    """Takes part in the election, and keeps the Lease once it is won.

    Attributes:
        acquired: set while this process leads.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._duration_s = settings.lease_duration_s
        self._lock = LeaseLock(
            connection,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.identity,
            # Three calls fit into the time in which the Lease has to be renewed.
            call_limit_s=settings.lease_duration_s / 5,
        )
        self.acquired = asyncio.Event()

    @property
    def stands_by(self) -> bool:
        """Somebody else holds the Lease, as far as known."""
        return not self.acquired.is_set() and self._lock.answered

    async def keep(self) -> None:
        """Wait for the Lease and renew it, until cancelled.

        Raises:
            LeadershipLostError: it could not be renewed.
        """
        config = Config(
            lock=self._lock,
            lease_duration=self._duration_s,
            # Proportions of client-go (15, 10 and 2 s), with a period that the library accepts: at least 1 s.
            renew_deadline=max(self._duration_s * 2 / 3, 1.5),
            retry_period=max(self._duration_s / 7.5, 1.0),
            onstarted_leading=self._lead,
            onstopped_leading=None,
        )
        await LeaderElection(config).run()
        raise LeadershipLostError(f"lease {self._lock.namespace}/{self._lock.name} was not renewed in time")

    async def release(self) -> None:
        """Leave the Lease to whoever comes first, so that they need not wait until it expires."""
        if self.acquired.is_set():
            self.acquired.clear()
            if await self._lock.release():
                _log.info("lease_released", identity=self._lock.identity)

    async def _lead(self) -> None:
        _log.info("lease_acquired", identity=self._lock.identity)
        self.acquired.set()
