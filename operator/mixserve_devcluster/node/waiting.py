"""Doing several things at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


async def first_of(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them has finished, and cancel the others."""
    async with in_background(*coroutines) as tasks:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


@contextlib.asynccontextmanager
async def in_background(*coroutines: Coroutine[Any, Any, object]) -> AsyncIterator[list[asyncio.Task[object]]]:
    """Run coroutines while the context lasts; they have ended when it has been left.

    Raises:
        ExceptionGroup: one of them failed; the context's body is cancelled then.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()


def causes(error: BaseException) -> list[BaseException]:
    """The errors in a group of groups; any other error alone."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for each in error.exceptions for cause in causes(each)]
    return [error]
