"""Workers take keys from the queue and look at pools and gateways; a look that fails is repeated after a pause."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from mixserve.apply.errors import ApiError, Conflict, Terminating, Unavailable
from mixserve.controller.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mixserve.controller.object_cache import WorkKey
    from mixserve.controller.queue import KeyedQueue
    from mixserve.controller.telemetry import Telemetry

_log = structlog.get_logger(__name__)

# A look makes a dozen calls, each of which ends within 15 s.
STUCK_AFTER_S = 300.0


class Workers:
    """A number of workers on one queue."""

    def __init__(
        self,
        queue: KeyedQueue[WorkKey],
        *,
        reconcile: Callable[[WorkKey], Awaitable[None]],
        telemetry: Telemetry,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._telemetry = telemetry
        self._since: dict[WorkKey, float] = {}
        telemetry.queue_depth.set_function(lambda: queue.depth)

    async def run(self, count: int) -> None:
        """Work until cancelled, which may be in the middle of a look: the next one finds what is left to do."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._work(), name=f"worker {number}")

    @property
    def stuck(self) -> WorkKey | None:
        """A pool or gateway that a worker has looked at for far too long, or None."""
        long_ago = time.monotonic() - STUCK_AFTER_S
        return next((key for key, since in self._since.items() if since < long_ago), None)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            began_s = self._since[key] = time.monotonic()
            result = "error"
            try:
                result = await self._look(key)
            finally:
                del self._since[key]
                self._queue.done(key)
                self._telemetry.reconciles.labels(result).observe(time.monotonic() - began_s)

    async def _look(self, key: WorkKey) -> str:
        """Look at one pool or gateway; return the result in one word."""
        try:
            await self._reconcile(key)
        except Terminating:  # the pool goes with its namespace, and the next beat finds out if it does not
            return "terminating"
        except Conflict as error:
            self._again(key, "conflict", error)
            return "conflict"
        except (RefusedError, ApiError) as error:
            self._again(key, "refused", error, at_least_s=_asked_pause_s(error))
            return "refused"
        except Exception:  # noqa: BLE001 - one pool on which the operator stumbles must not stop the others
            _log.exception("look_failed", pool=str(key))
            self._again(key, "error", None)
            return "error"
        self._queue.succeeded(key)
        return "ok"

    def _again(self, key: WorkKey, result: str, error: Exception | None, *, at_least_s: float = 0.0) -> None:
        self._telemetry.retries.inc()
        pause_s = self._queue.retry(key, at_least_s=at_least_s)
        if error is not None:
            _log.info("look_repeated", pool=str(key), result=result, pause_s=round(pause_s, 2), error=str(error))


def _asked_pause_s(error: Exception) -> float:
    asked = error.retry_after_s if isinstance(error, Unavailable) else None
    return asked or 0.0
