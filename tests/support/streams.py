"""Long streams from a pool's simulated engines, and whether each of them was served to its end."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from mixserve_devcluster.engine.tokenizer import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from support.pool_watch import PoolWatch


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What a client got of one stream.

    Attributes:
        asked: tokens that the engine was told to generate.
        received: tokens that arrived.
        finish_reason: why the engine says that it ended; empty if it does not say.
        done: the end of the stream, `[DONE]`, arrived.
        error: what else happened; empty if nothing did.
    """

    pod: str
    asked: int
    received: int = 0
    finish_reason: str = ""
    done: bool = False
    error: str = ""

    @property
    def is_complete(self) -> bool:
        """The client has all that it asked for."""
        return (self.error, self.finish_reason, self.done, self.received) == ("", "length", True, self.asked)


class StreamLoad:
    """Users, each of which asks for one stream after the other.

    Args:
        session: carries the requests.
        model: the served name.
        watch: knows the pods that take requests, and is told how many streams each of them has.

    Attributes:
        streams: those that are over, in the order in which they ended.
    """

    def __init__(self, session: aiohttp.ClientSession, *, model: str, watch: PoolWatch) -> None:
        self._session = session
        self._model = model
        self._endpoints = watch.endpoints
        self._in_flight = watch.in_flight
        self._numbers = itertools.count()
        self.streams: list[Stream] = []

    async def use(self, lengths: Iterator[int], *, enough: Callable[[], bool], first_at_s: float = 0.0) -> None:
        """Be a user whose streams have these lengths (in tokens) until there are enough; the last one is not broken."""
        await asyncio.sleep(first_at_s)
        while not enough():
            await self.stream(next(lengths))

    async def stream(self, tokens: int) -> None:
        """Ask the pod with the fewest streams for one of so many tokens."""
        if not self._endpoints:
            pytest.fail("no pod is routable")
        pod = min(self._endpoints, key=lambda name: self._in_flight[name])
        self._in_flight[pod] += 1
        try:
            self.streams.append(await self._read(Stream(pod=pod, asked=tokens), self._endpoints[pod]))
        finally:
            self._in_flight[pod] -= 1

    async def _read(self, stream: Stream, url: str) -> Stream:
        prompt = f"Story number {next(self._numbers)}:"
        body = {"model": self._model, "prompt": prompt, "stream": True, "max_tokens": stream.asked, "ignore_eos": True}
        text = ""
        try:
            async with self._session.post(f"{url}/v1/completions", json=body) as response:
                if response.status != 200:
                    return replace(stream, error=f"HTTP {response.status}: {await response.text()}")
                async for event in _events(response):
                    if event is None:
                        stream = replace(stream, done=True)
                    else:
                        # The last event has the token counts and no choice.
                        for choice in event["choices"]:
                            text += choice["text"]
                            stream = replace(stream, finish_reason=choice["finish_reason"] or "")
        except (aiohttp.ClientError, TimeoutError) as error:
            stream = replace(stream, error=repr(error))
        return replace(stream, received=len(text) // CHARACTERS_PER_TOKEN)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any] | None]:
    """The events of a stream, None for its end."""
    async for line in response.content:
        if line.startswith(b"data: [DONE]"):
            yield None
        elif line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def stream_session() -> aiohttp.ClientSession:
    """A session whose streams may take minutes, each over a connection of its own."""
    # A connection that is kept may be closed by the engine just when the next request goes out.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=900.0))
