"""A queue of keys: each key at most once, one worker per key, and a pause that grows for a key that fails."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")

# The first pause after a failure; doubled by each further one ...
FIRST_PAUSE_S = 0.2
# ... up to this, so that what was repaired by hand is noticed while somebody still looks.
LONGEST_PAUSE_S = 60.0


class KeyedQueue(Generic[K]):
    """Keys to work on, in the order in which they came.

    A key that is added while somebody works on it is handed out again when that work is done, not before. Belongs to
    one event loop.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[K, None] = OrderedDict()
        self._in_work: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._filled = asyncio.Event()
        self.retries = 0

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._waiting)

    def add(self, key: K) -> None:
        """Ask for the key to be worked on as soon as possible."""
        if key in self._in_work:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._filled.set()

    def add_unless_failing(self, key: K) -> None:
        """Ask for the key as `add` does, but leave one that has failed to the pause that it is given."""
        if key not in self._failures or key not in self._timers:
            self.add(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Ask for the key to be worked on after a while, or earlier if that was asked for already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        planned = self._timers.get(key)
        if planned is not None:
            if planned.when() <= due:
                return
            planned.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    async def get(self) -> K:
        """The next key; whoever takes it calls `done` afterwards."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        key, _ = self._waiting.popitem(last=False)
        self._in_work.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on the key has ended, well or badly."""
        self._in_work.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def succeeded(self, key: K) -> None:
        """Forget earlier failures of the key."""
        self._failures.pop(key, None)

    def retry(self, key: K, *, at_least_s: float = 0.0) -> float:
        """Ask for the key again after a pause that grows with each failure in a row; return the pause."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.retries += 1
        # The exponent is bounded, since 2.0 ** 1100 is an error.
        pause_s = max(at_least_s, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30)))
        self.add_after(key, pause_s)
        return pause_s

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)
