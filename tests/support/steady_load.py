"""Clients that ask a gateway again and again while something happens to it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_OK = 200
# As clients wait before they try again.
_REST_AFTER_FAILURE_S = 0.05
# Longer than any fault lasts.
_PATIENCE_S = 180.0


@dataclass
class SteadyLoad:
    """What clients have seen, by the model that they asked for.

    Attributes:
        outcomes: model and status; 0 for a connection that failed.
        errors: what failed answers and connections said.
        slowest_s: the longest time for an answer.
    """

    outcomes: Counter[tuple[str, int]] = field(default_factory=Counter)
    errors: set[str] = field(default_factory=set)
    slowest_s: float = 0.0

    def statuses(self, model: str) -> set[int]:
        """All statuses that were seen for a model."""
        return {status for name, status in self.outcomes if name == model}

    @property
    def failed(self) -> int:
        """Answers other than 200, and failed connections."""
        return sum(count for (_, status), count in self.outcomes.items() if status != _OK)

    async def seen(self, model: str, status: int, more: int = 1) -> None:
        """Wait until so many more answers for a model had this status."""
        wanted = self.outcomes[model, status] + more
        async with asyncio.timeout(_PATIENCE_S):
            while self.outcomes[model, status] < wanted:  # noqa: ASYNC110 - many wait, each for something else
                await asyncio.sleep(0.01)


@asynccontextmanager
async def steady_load(
    urls: Callable[[], Sequence[str]], *models: str, clients: int = 4, **body: Any
) -> AsyncIterator[SteadyLoad]:
    """Ask for chats while the context lasts, and wait for the last answers.

    Args:
        urls: where clients may ask at the moment, without a path; each takes its turn.
        models: that are asked for, each by `clients`.
        clients: of each model, each with one request under way.
        body: what requests say besides model and messages.
    """
    load, is_over = SteadyLoad(), asyncio.Event()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=_PATIENCE_S)) as session:

        async def use(model: str, number: int) -> None:
            turn = number
            while not is_over.is_set():
                there = urls()
                turn += 1
                message = {"role": "user", "content": f"{model} {turn}"}
                await _ask(load, session, there[turn % len(there)], model=model, messages=[message], **body)

        async with asyncio.TaskGroup() as tasks:
            for model in models:
                for number in range(clients):
                    tasks.create_task(use(model, number * 1000))
            try:
                yield load
            finally:
                is_over.set()


async def _ask(load: SteadyLoad, session: aiohttp.ClientSession, url: str, **body: Any) -> None:
    started_s = time.monotonic()
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
            content, status = await answer.read(), answer.status
        said = content.decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        status, said = 0, repr(error)
    load.outcomes[body["model"], status] += 1
    load.slowest_s = max(load.slowest_s, time.monotonic() - started_s)
    if status != _OK:
        load.errors.add(said)
        await asyncio.sleep(_REST_AFTER_FAILURE_S)
