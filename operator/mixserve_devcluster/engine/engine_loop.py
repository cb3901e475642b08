"""The engine in real time: makes step after step, waits as long as each takes, and hands tokens to who waits for them.

Simulated seconds pass `1 / time_scale` times as fast as the clock.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixserve.simulate.engine import SimulatedEngineCore, Step
    from mixserve.simulate.requests import FinishedRequest, Request

# Handing a token to a stream costs some 25 us. Waiting four times as long for each stream that has tokens means that
# deliveries take a quarter of a core at most; where steps are shorter, tokens come several at a time, as from vLLM
# under load.
_DELIVERY_INTERVAL_S_PER_STREAM = 0.0001
# How many seconds behind the clock the simulation may be before it gives up catching up; a delay beyond means that
# this machine is too slow, and then everything takes longer, as it would in an engine that lacks CPU.
_LARGEST_LAG_S = 0.25


def delivery_is_due(streams: int, interval_s: float) -> bool:
    """Whether so many streams should get their tokens, `interval_s` after the last delivery."""
    return interval_s >= streams * _DELIVERY_INTERVAL_S_PER_STREAM


class TokenStream:
    """The tokens of one request as they come out.

    Attributes:
        produced: how many there are.
        cached_tokens: prompt tokens that the prefix cache supplied; known with the first token.
    """

    __slots__ = ("_expected", "_waiter", "cached_tokens", "on_finished", "produced")

    def __init__(self, expected: int, on_finished: Callable[[FinishedRequest], None]) -> None:
        self.produced = 0
        self.cached_tokens = 0
        self.on_finished = on_finished
        self._expected = expected
        self._waiter: asyncio.Future[None] | None = None

    async def more_than(self, seen: int) -> int:
        """Wait for a token beyond the first `seen`; return how many there are."""
        while self.produced <= seen:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.produced

    async def complete(self) -> None:
        """Wait for the last token."""
        await self.more_than(self._expected - 1)

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class EngineLoop:
    """Drives one simulated engine; `run` must run as long as requests are to be answered."""

    def __init__(self, core: SimulatedEngineCore, *, time_scale: float, on_step: Callable[[Step], None]) -> None:
        self.core = core
        self._time_scale = time_scale
        self._on_step = on_step
        self._streams: dict[str, TokenStream] = {}
        self._undelivered: dict[str, TokenStream] = {}
        self._delivered_at = 0.0
        self._submitted = asyncio.Event()

    def submit(self, request: Request, on_finished: Callable[[FinishedRequest], None]) -> TokenStream:
        """Queue a request; `on_finished` is called when it has its whole answer, not when it is aborted."""
        self.core.submit(request, self._now_s())
        stream = self._streams[request.request_id] = TokenStream(request.answer_tokens, on_finished)
        self._submitted.set()
        return stream

    def abort(self, request_id: str) -> bool:
        """Drop a request; False if it is done already."""
        self.core.abort(request_id)
        return self._streams.pop(request_id, None) is not None

    async def run(self) -> None:
        """Make steps for ever."""
        ended_at_s = self._now_s()
        while True:
            if not self.core.has_work:
                self._deliver()
                self._submitted.clear()
                await self._submitted.wait()
                ended_at_s = self._now_s()
            step = self.core.step(self._next_start_s(ended_at_s))
            ended_at_s = step.ended_at_s
            await self._wait_until(ended_at_s * self._time_scale)
            self._take_tokens(step)

    def _next_start_s(self, previous_end_s: float) -> float:
        """When the next step begins: where the last one ended, unless that is long ago."""
        now_s = self._now_s()
        return now_s if (now_s - previous_end_s) * self._time_scale > _LARGEST_LAG_S else previous_end_s

    async def _wait_until(self, moment: float) -> None:
        """Wait until a moment of the clock; deliver first, if that is due by then."""
        if delivery_is_due(len(self._undelivered), moment - self._delivered_at):
            self._deliver()
        await asyncio.sleep(max(0.0, moment - time.monotonic()))

    def _take_tokens(self, step: Step) -> None:
        for first in step.first_tokens:
            if stream := self._streams.get(first.request_id):
                stream.cached_tokens = first.cached_tokens
        for request_id, tokens in step.tokens.items():
            # A request may have been aborted while the step was under way.
            if stream := self._streams.get(request_id):
                stream.produced += tokens
                self._undelivered[request_id] = stream
        for finished in step.finished:
            if stream := self._streams.pop(finished.request.request_id, None):
                stream.on_finished(finished)
        self._on_step(step)

    def _deliver(self) -> None:
        self._delivered_at = time.monotonic()
        for stream in self._undelivered.values():
            stream.wake()
        self._undelivered.clear()

    def _now_s(self) -> float:
        return time.monotonic() / self._time_scale
