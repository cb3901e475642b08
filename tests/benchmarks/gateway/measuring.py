"""Sends loads to arms in turns, and notes what each costs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from load import Load, send

if TYPE_CHECKING:
    from arms import Arm
    from load import Outcome

# Envoy writes its log within a second, the gateway reads it within another half: then all is accounted for.
_BOOKS_S = 1.8
_IDLE_S = 6.0
# A machine that sleeps is slow to wake: whoever wakes it twenty times a second takes several times as much then.
_BUSY = Load(prompt_bytes=1000, stream=False, connections=4)


@dataclass
class Sample:
    """A load on an arm, once.

    Attributes:
        arm: its name.
        load: what was sent.
        outcome: what came back.
        cpu_ms: CPU time per request of each of the arm's processes, without what they take when nothing is sent.
    """

    arm: str
    load: Load
    outcome: Outcome
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Requests answered."""
        return len(self.outcome.latencies) / self.outcome.seconds


class Measuring:
    """Measures arms; what one does after its answers is seen to while the next one has its turn."""

    def __init__(self, arms: list[Arm]) -> None:
        self._arms = arms
        self._settling: dict[str, asyncio.Task[None]] = {}
        self.idle: dict[str, list[float]] = {arm.name: [0.0] * len(arm.processes) for arm in arms}
        """CPU time per second of each process when nothing is sent."""

    async def warm_up(self, loads: list[Load]) -> None:
        """Send what is compiled, cached and connected only once."""
        for arm in self._arms:
            for load in loads:
                await send(arm.port, arm.model, load, seconds=0.5)

    async def rest(self) -> None:
        """Measure what they take when nothing is sent to them, while the engines alone keep the machine busy."""
        await asyncio.sleep(_BOOKS_S)
        before, began_s = {arm.name: arm.cpu_s() for arm in self._arms}, time.monotonic()
        engines = [arm for arm in self._arms if not arm.processes]
        await asyncio.gather(
            asyncio.sleep(_IDLE_S), *(send(arm.port, arm.model, _BUSY, seconds=_IDLE_S) for arm in engines)
        )
        elapsed_s = time.monotonic() - began_s
        for arm in self._arms:
            spent = zip(before[arm.name], arm.cpu_s(), strict=True)
            self.idle[arm.name] = [(after - earlier) / elapsed_s for earlier, after in spent]

    async def measure(self, arm: Arm, load: Load, *, seconds: float) -> Sample:
        """Send for so long; the CPU time is in the sample after `finish`."""
        if arm.name in self._settling:
            await self._settling.pop(arm.name)
        before, began_s = arm.cpu_s(), time.monotonic()
        sample = Sample(arm.name, load, await send(arm.port, arm.model, load, seconds=seconds))
        settling = self._settle(arm, sample, before, began_s)
        self._settling[arm.name] = asyncio.create_task(settling, name=f"account for {arm.name}")
        return sample

    async def finish(self) -> None:
        """Wait until all samples are whole."""
        await asyncio.gather(*self._settling.values())

    async def _settle(self, arm: Arm, sample: Sample, before: list[float], began_s: float) -> None:
        await asyncio.sleep(_BOOKS_S)
        after, elapsed_s = arm.cpu_s(), time.monotonic() - began_s
        rows = zip(before, after, self.idle[arm.name], strict=True)
        count = len(sample.outcome.latencies)
        sample.cpu_ms = [1000 * (later - earlier - idle * elapsed_s) / count for earlier, later, idle in rows]
