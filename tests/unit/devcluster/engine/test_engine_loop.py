from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from mixserve.simulate.engine import SimulatedEngineCore
from mixserve_devcluster.engine.engine_loop import EngineLoop, delivery_is_due
from support.simulation import engine_settings, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mixserve.simulate.engine import Step
    from mixserve.simulate.requests import FinishedRequest
    from mixserve.simulate.settings import EngineSettings

# A step of the small engine takes more than a simulated second; this makes it a few milliseconds.
FAST = 0.002


class Recorder:
    """An engine loop with a record of what it reported."""

    def __init__(self, settings: EngineSettings, time_scale: float) -> None:
        self.steps: list[Step] = []
        self.finished: list[FinishedRequest] = []
        self.loop = EngineLoop(SimulatedEngineCore(settings), time_scale=time_scale, on_step=self.steps.append)


@contextlib.asynccontextmanager
async def running(*, time_scale: float = FAST, **settings: int) -> AsyncIterator[Recorder]:
    recorder = Recorder(engine_settings(**settings), time_scale)
    task = asyncio.create_task(recorder.loop.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_request_gets_all_its_tokens() -> None:
    async with running() as recorder:
        stream = recorder.loop.submit(request("a", answer=3), recorder.finished.append)
        await stream.complete()
        assert stream.produced == 3
        assert [finished.request.request_id for finished in recorder.finished] == ["a"]


async def test_each_token_can_be_waited_for() -> None:
    async with running() as recorder:
        stream = recorder.loop.submit(request("a", answer=3), recorder.finished.append)
        seen = 0
        while seen < 3:
            produced = await stream.more_than(seen)
            assert produced > seen
            seen = produced


async def test_steps_take_their_time_times_the_scale() -> None:
    async with running(time_scale=0.02) as recorder:
        started = time.monotonic()
        await recorder.loop.submit(request("a", answer=4), recorder.finished.append).complete()
        simulated_s = sum(step.duration_s for step in recorder.steps)
        assert len([step for step in recorder.steps if step.tokens]) == 4
        assert time.monotonic() - started >= simulated_s * 0.02 * 0.99


async def test_an_idle_engine_starts_again_no_earlier_than_the_next_request() -> None:
    async with running() as recorder:
        await recorder.loop.submit(request("a"), recorder.finished.append).complete()
        await asyncio.sleep(0.05)  # less than what it would catch up with
        await recorder.loop.submit(request("b"), recorder.finished.append).complete()
        first_step = next(step for step in recorder.steps if "b" in step.tokens)
        assert first_step.started_at_s >= recorder.finished[1].queued_at_s


async def test_a_simulation_far_behind_the_clock_does_not_catch_up() -> None:
    async with running() as recorder:
        stream = recorder.loop.submit(request("a", answer=8), recorder.finished.append)
        await stream.more_than(0)
        time.sleep(0.3)  # noqa: ASYNC251 - blocking the event loop is what a busy machine does
        await stream.complete()
        gaps = [
            (later.started_at_s - earlier.ended_at_s) * FAST
            for earlier, later in zip(recorder.steps, recorder.steps[1:], strict=False)
        ]
        assert max(gaps) > 0.25


async def test_cached_tokens_are_known_with_the_first_token() -> None:
    async with running() as recorder:
        for name, cached in (("a", 0), ("b", 8)):
            stream = recorder.loop.submit(request(name, prompt=10, hashes=(1, 2)), recorder.finished.append)
            await stream.more_than(0)
            assert stream.cached_tokens == cached
            await stream.complete()


async def test_an_aborted_request_gets_nothing_more_and_does_not_finish() -> None:
    async with running() as recorder:
        stream = recorder.loop.submit(request("a", answer=20), recorder.finished.append)
        await stream.more_than(0)
        produced = stream.produced
        assert recorder.loop.abort("a")
        assert not recorder.loop.abort("a")
        await recorder.loop.submit(request("b"), recorder.finished.append).complete()
        assert stream.produced == produced
        assert [finished.request.request_id for finished in recorder.finished] == ["b"]


async def test_a_request_may_be_aborted_while_its_last_step_is_under_way() -> None:
    async with running(time_scale=0.05) as recorder:
        recorder.loop.submit(request("a", answer=1), recorder.finished.append)
        async with asyncio.timeout(30):
            while not recorder.loop.core.running:  # noqa: ASYNC110 - the engine announces nothing
                await asyncio.sleep(0.001)
        assert recorder.loop.abort("a")
        await recorder.loop.submit(request("b"), recorder.finished.append).complete()
        assert [finished.request.request_id for finished in recorder.finished] == ["b"]


async def test_a_finished_request_can_not_be_aborted() -> None:
    async with running() as recorder:
        await recorder.loop.submit(request("a"), recorder.finished.append).complete()
        assert not recorder.loop.abort("a")


@pytest.mark.parametrize(
    ("streams", "interval_s", "due"), [(1, 0.001, True), (200, 0.019, False), (200, 0.021, True), (0, 0.0, True)]
)
def test_many_streams_get_their_tokens_less_often(streams: int, interval_s: float, *, due: bool) -> None:
    assert delivery_is_due(streams, interval_s) is due


async def test_tokens_are_delivered_while_the_engine_works() -> None:
    async with running(time_scale=0.02) as recorder:
        stream = recorder.loop.submit(request("a", answer=28), recorder.finished.append)
        await stream.more_than(0)
        assert not recorder.finished


async def test_nothing_is_kept_of_what_is_done() -> None:
    async with running() as recorder:
        await recorder.loop.submit(request("a"), recorder.finished.append).complete()
        assert not recorder.loop._streams
        assert not recorder.loop._undelivered
