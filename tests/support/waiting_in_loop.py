"""Waiting for a condition inside an event loop, with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

T = TypeVar("T")


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run something endless while the context lasts."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until the condition is true; TimeoutError if it is not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - whoever is waited for knows no event
            await asyncio.sleep(0.005)


async def eventually(condition: Callable[[], Awaitable[T]], what: str, timeout_s: float = 30.0) -> T:
    """Return the first true value that `condition` comes to, asked 50 times a second; fail after `timeout_s`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not (value := await condition()):
        if loop.time() > deadline:
            pytest.fail(f"no {what} within {timeout_s:.0f} s; the last value was {value!r}")
        await asyncio.sleep(0.02)
    return value
