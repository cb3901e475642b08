"""Ends a container's process: preStop, SIGTERM, grace, SIGKILL. Times are of the event loop, in seconds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.waiting import first_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from mixserve_devcluster.node.spawner.client import Process

# The kubelet's minimumGracePeriodInSeconds: what a process has between SIGTERM and SIGKILL even if preStop took all.
_SHORTEST_GRACE_S = 2.0


class Termination:
    """The end of one process, which may be hurried on its way."""

    def __init__(self, process: Process, deadline_s: float) -> None:
        self._process = process
        self._deadline_s = deadline_s
        self._timeout: asyncio.Timeout | None = None
        self._least_s = deadline_s

    def hurry(self, deadline_s: float) -> None:
        """Bring the deadline nearer, if this one is."""
        self._deadline_s = min(self._deadline_s, deadline_s)
        if self._timeout is not None:
            self._timeout.reschedule(max(self._deadline_s, self._least_s))

    async def run(self, pre_stop: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        """Run the hook until the deadline, then ask the process to end, and at the deadline kill it."""
        if pre_stop is not None and self._deadline_s > _now_s():
            with contextlib.suppress(TimeoutError):
                async with self._until_deadline(0):
                    await first_of(pre_stop(), self._process.wait())
        if not self._process.is_running:
            return
        self._process.terminate()
        try:
            async with self._until_deadline(_SHORTEST_GRACE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @contextlib.asynccontextmanager
    async def _until_deadline(self, at_least_s: float) -> AsyncIterator[None]:
        self._least_s = _now_s() + at_least_s
        async with asyncio.timeout_at(max(self._deadline_s, self._least_s)) as timeout:
            self._timeout = timeout
            try:
                yield
            finally:
                self._timeout = None


def _now_s() -> float:
    return asyncio.get_running_loop().time()
