from __future__ import annotations

import asyncio

from mixserve.controller import queue as queues
from mixserve.controller.queue import KeyedQueue


async def drain(queue: KeyedQueue[str], count: int) -> list[str]:
    found = []
    for _ in range(count):
        async with asyncio.timeout(5):
            key = await queue.get()
        queue.done(key)
        found.append(key)
    return found


async def test_keys_come_in_order_and_once() -> None:
    queue = KeyedQueue[str]()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert queue.depth == 2
    assert await drain(queue, 2) == ["a", "b"]
    assert queue.depth == 0


async def test_a_key_is_not_handed_out_twice_at_the_same_time() -> None:
    queue = KeyedQueue[str]()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert queue.depth == 0
    queue.done("a")
    assert await drain(queue, 1) == ["a"]


async def test_whoever_waits_is_woken() -> None:
    queue = KeyedQueue[str]()
    waiting = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    async with asyncio.timeout(5):
        assert sorted(await asyncio.gather(*waiting)) == ["a", "b"]


async def test_a_later_key_comes_when_it_is_due_and_the_earlier_wish_counts() -> None:
    queue = KeyedQueue[str]()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    assert queue.depth == 0
    assert await drain(queue, 1) == ["a"]
    assert queue._timers == {}


async def test_pauses_grow_with_failures_up_to_a_limit_and_start_anew_after_a_success() -> None:
    queue = KeyedQueue[str]()
    pauses = [queue.retry("a") for _ in range(2000)]
    assert pauses[:3] == [queues.FIRST_PAUSE_S, 2 * queues.FIRST_PAUSE_S, 4 * queues.FIRST_PAUSE_S]
    assert pauses[-1] == queues.LONGEST_PAUSE_S
    assert queue.retries == 2000
    queue.succeeded("a")
    assert queue.retry("a") == queues.FIRST_PAUSE_S


async def test_a_server_that_asks_for_a_longer_pause_gets_it() -> None:
    queue = KeyedQueue[str]()
    assert queue.retry("a", at_least_s=7) == 7


async def test_the_beat_leaves_a_key_that_has_failed_to_its_pause() -> None:
    queue = KeyedQueue[str]()
    queue.retry("a", at_least_s=60)
    queue.add_unless_failing("a")
    assert queue.depth == 0
    queue.add("a")
    queue.add_unless_failing("b")
    assert queue.depth == 2


async def test_a_key_that_is_only_to_be_looked_at_soon_is_not_failing() -> None:
    queue = KeyedQueue[str]()
    queue.add_after("a", 60)
    queue.add_unless_failing("a")
    assert queue.depth == 1
