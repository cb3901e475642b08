from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mixserve.apply.errors import Conflict, Terminating, Unavailable
from mixserve.controller import workers as working
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.queue import KeyedQueue
from mixserve.controller.refusals import RefusedError
from mixserve.controller.telemetry import Telemetry
from mixserve.controller.workers import Workers
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = PoolKey("ns", "p")


class Shop:
    """A queue, workers, and a telemetry that tells what came out."""

    def __init__(self, reconcile: Callable[[PoolKey], Awaitable[None]]) -> None:
        self.queue: KeyedQueue[PoolKey] = KeyedQueue()
        self.telemetry = Telemetry()
        self.workers = Workers(self.queue, reconcile=reconcile, telemetry=self.telemetry)

    def results(self) -> dict[str, float]:
        samples = next(iter(self.telemetry.reconciles.collect())).samples
        return {sample.labels["result"]: sample.value for sample in samples if sample.name.endswith("_count")}

    async def until(self, condition: Callable[[], bool], count: int = 1) -> None:
        async with running(self.workers.run(count)):
            await until(condition)


def failing(error: Exception) -> Callable[[PoolKey], Awaitable[None]]:
    async def reconcile(_: PoolKey) -> None:
        raise error

    return reconcile


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Conflict("changed"), "conflict"),
        (RefusedError("no"), "refused"),
        (Unavailable("busy"), "refused"),
        (KeyError("a bug"), "error"),
    ],
)
async def test_a_look_that_fails_is_counted_and_repeated(error: Exception, result: str) -> None:
    shop = Shop(failing(error))
    shop.queue.add(KEY)
    await shop.until(lambda: shop.results().get(result) == 1)
    assert shop.queue.retries == 1


async def test_a_bug_does_not_end_the_worker() -> None:
    seen = []

    async def reconcile(key: PoolKey) -> None:
        seen.append(key)
        if len(seen) == 1:
            raise KeyError("a bug")

    shop = Shop(reconcile)
    other = PoolKey("ns", "other")
    shop.queue.add(KEY)
    shop.queue.add(other)
    await shop.until(lambda: other in seen)


async def test_a_success_ends_a_row_of_failures() -> None:
    errors: list[Exception | None] = [Conflict("changed"), None, Conflict("changed")]

    async def reconcile(_: PoolKey) -> None:
        error = errors.pop(0)
        if error is not None:
            raise error

    shop = Shop(reconcile)
    shop.queue.add(KEY)
    await shop.until(lambda: len(errors) == 1)
    assert shop.queue._failures == {}
    shop.queue.add(KEY)
    await shop.until(lambda: not errors and not shop.workers._since)
    assert shop.queue._failures == {KEY: 1}


async def test_a_pool_that_goes_with_its_namespace_is_not_repeated() -> None:
    shop = Shop(failing(Terminating("going")))
    shop.queue.add(KEY)
    await shop.until(lambda: shop.results().get("terminating") == 1)
    assert shop.queue.retries == 0


async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks() -> None:
    shop = Shop(failing(Unavailable("busy", status=429, retry_after_s=30.0)))
    shop.queue.add(KEY)
    await shop.until(lambda: shop.queue.retries == 1)
    due = shop.queue._timers[KEY].when() - asyncio.get_running_loop().time()
    assert 29 < due <= 30


async def test_several_pools_are_looked_at_at_the_same_time() -> None:
    inside: set[PoolKey] = set()
    most = 0

    async def reconcile(key: PoolKey) -> None:
        nonlocal most
        inside.add(key)
        most = max(most, len(inside))
        await asyncio.sleep(0.01)
        inside.discard(key)

    shop = Shop(reconcile)
    for number in range(6):
        shop.queue.add(PoolKey("ns", str(number)))
    await shop.until(lambda: shop.results().get("ok") == 6, count=3)
    assert most == 3


async def test_a_worker_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "STUCK_AFTER_S", 0.02)
    shop = Shop(lambda _: asyncio.sleep(10))
    shop.queue.add(KEY)
    assert shop.workers.stuck is None
    await shop.until(lambda: shop.workers.stuck == KEY)
