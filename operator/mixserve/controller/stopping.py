"""Small things about tasks that run until somebody ends them."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class StopSignals:
    """SIGTERM and SIGINT, as an event.

    Attributes:
        received: set by the first of them.
    """

    def __init__(self) -> None:
        self.received = asyncio.Event()

    def install(self) -> None:
        """Take the signals, also from somebody who took them before."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.received.set)


async def first_to_end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Wait until one of the tasks ends; raise if it has failed."""
    done, _ = await asyncio.wait(list(tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait until they have ended, however they do."""
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
