"""One of several operators works, the one that holds the Lease; the others wait.

The election is `kubernetes.aio.leaderelection`'s. Around it: time limits for its calls (a call that hangs would outlive
the Lease and make two leaders), errors of the network (which would end it), a task that fails when the Lease is lost,
and the release of the Lease at the end, so that the next one need not wait until it expires.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import ApiError
from mixserve.apply.resources import LEASES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kubernetes.aio.client import ApiClient

    from mixserve.apply.connection import Connection
    from mixserve.controller.settings import Settings

_log = structlog.get_logger(__name__)

_FAILED_RELEASE_S = 3.0


class LeadershipLostError(Exception):
    """The Lease could not be renewed in time; somebody else may lead by now, so this process has to end."""


class Leadership:
    """Takes part in the election, and keeps the Lease once it is won."""

    def __init__(self, connection: Connection, client: ApiClient, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._lock = _PatientLock(client, settings)
        self.leads = False

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[asyncio.Task[None]]:
        """Wait until the Lease is ours, and give it back in the end.

        Yields:
            A task that ends with LeadershipLostError, if it ever ends.
        """
        won: asyncio.Event = asyncio.Event()
        task = asyncio.create_task(self._elect(won), name="leader election")
        waiter = asyncio.create_task(won.wait())
        try:
            await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            self.leads = True
            _log.info("lease_acquired", identity=self._settings.identity)
            yield task
        finally:
            waiter.cancel()
            task.cancel()
            await asyncio.wait({task})
            if self.leads:
                self.leads = False
                await self._release()

    async def _elect(self, won: asyncio.Event) -> None:
        duration = self._settings.lease_duration_s

        async def lead() -> None:
            won.set()  # the work is done by whoever waits for it

        async def stop() -> None:
            await asyncio.sleep(0)  # the election wants a coroutine; what it has to say, it says by returning

        config = Config(
            lock=self._lock,
            lease_duration=duration,
            # Proportions of client-go (15, 10 and 2 s), with a period that the library accepts: at least 1 s.
            renew_deadline=max(duration * 2 / 3, 1.5),
            retry_period=max(duration / 7.5, 1.0),
            onstarted_leading=lead,
            onstopped_leading=stop,
        )
        await LeaderElection(config).run()
        raise LeadershipLostError(f"lease {self._lock.namespace}/{self._lock.name} was not renewed in time")

    async def _release(self) -> None:
        """Leave the Lease to whoever comes first, if it is still ours."""
        patch = [
            {"op": "test", "path": "/spec/holderIdentity", "value": self._settings.identity},
            {"op": "replace", "path": "/spec/holderIdentity", "value": ""},
        ]
        try:
            async with asyncio.timeout(_FAILED_RELEASE_S):
                await self._connection.patch(
                    LEASES,
                    patch,
                    namespace=self._lock.namespace,
                    name=self._lock.name,
                    field_manager=FIELD_MANAGER,
                )
        except (ApiError, TimeoutError) as error:  # then it expires by itself
            _log.warning("lease_release_failed", error=str(error))


class _PatientLock(LeaseLock):  # type: ignore[misc] # the library has no annotations
    """A Lease whose calls end in time, with an answer for whatever goes wrong."""

    def __init__(self, client: ApiClient, settings: Settings) -> None:
        super().__init__(settings.lease_name, settings.namespace, settings.identity, client)
        # Three calls fit into the time in which the Lease has to be renewed.
        self._call_limit_s = settings.lease_duration_s / 5

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        failed = (False, ApiException(status=0, reason="no answer in time"))
        answer: tuple[bool, Any] = await self._guarded(lambda: super(_PatientLock, self).get(name, namespace), failed)
        return answer

    async def create(self, name: str, namespace: str, election_record: Any) -> bool:
        return bool(
            await self._guarded(lambda: super(_PatientLock, self).create(name, namespace, election_record), False)
        )

    async def update(self, name: str, namespace: str, updated_record: Any) -> bool:
        return bool(
            await self._guarded(lambda: super(_PatientLock, self).update(name, namespace, updated_record), False)
        )

    async def _guarded(self, call: Callable[[], Awaitable[Any]], otherwise: Any) -> Any:
        try:
            async with asyncio.timeout(self._call_limit_s):
                return await call()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            _log.warning("lease_call_failed", lease=self.name, error=f"{type(error).__name__}: {error}")
            return otherwise
