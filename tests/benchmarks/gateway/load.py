"""Requests over kept connections, one after the other on each, and how long each took."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

# Prompts that begin differently; a gateway that looks at prefixes should have something to tell apart.
_PROMPTS = 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
_WORDS = "Explain step by step why the quick brown fox jumps over the lazy dog. "


class Latency(NamedTuple):
    """Of one request, in seconds: until the body of the answer began, and until it had ended."""

    first_byte_s: float
    whole_s: float


@dataclass(frozen=True)
class Load:
    """What is sent: `prompt_bytes` of text to a model, answered at once or in a stream, over so many connections."""

    prompt_bytes: int
    stream: bool
    connections: int

    def __str__(self) -> str:
        kind = "streamed" if self.stream else "plain"
        return f"{kind}, {self.prompt_bytes // 1000} KB, {self.connections} connections"


@dataclass
class Outcome:
    """What came of a load: its requests, and how long it all took."""

    latencies: list[Latency] = field(default_factory=list)
    seconds: float = 0.0


@cache
def _requests(model: str, prompt_bytes: int, *, stream: bool) -> list[bytes]:
    """The bytes on the wire, of each prompt."""
    return [_request(f"Question {number}. ", model, prompt_bytes, stream=stream) for number in range(_PROMPTS)]


def _request(start: str, model: str, prompt_bytes: int, *, stream: bool) -> bytes:
    text = (start + _WORDS * (prompt_bytes // len(_WORDS) + 1))[:prompt_bytes]
    # "stream" last: the engine of the benchmark looks for it at the end.
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream})
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer sk-benchmark\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return f"{head}{body}".encode()


class _Client(asyncio.Protocol):
    """A connection that sends the next request when it has an answer, until the time is over."""

    def __init__(self, load: Load, requests: Iterator[bytes], *, until_s: float) -> None:
        self._load = load
        self._requests = requests
        self._until_s = until_s
        self._head = b""
        self.latencies: list[Latency] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError(f"closed after {len(self.latencies)} answers"))

    def send(self) -> None:
        self._head, self._tail, self._missing, self._first_byte_s = b"", b"", -1, 0.0
        self._began_s = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            head, ended, data = self._head.partition(b"\r\n\r\n")
            if not ended:
                return
            self._begin(head)
        if not data:
            return
        self._first_byte_s = self._first_byte_s or time.perf_counter() - self._began_s
        self._tail = (self._tail + data)[-64:]
        self._missing = max(0, self._missing - len(data))
        if self._tail.endswith(b"\r\n0\r\n\r\n") if self._is_chunked else not self._missing:
            self._end()

    def _begin(self, head: bytes) -> None:
        lowered = head.lower()
        self._is_chunked = b"transfer-encoding: chunked" in lowered
        length = _LENGTH.search(lowered)
        self._missing = int(length[1]) if length else 0
        if not head.startswith(b"HTTP/1.1 200") or self._load.stream is not self._is_chunked:
            self._fail(head)

    def _end(self) -> None:
        if self._load.stream and b"[DONE]" not in self._tail:
            self._fail(self._tail)
        if self.done.done():
            return
        self.latencies.append(Latency(self._first_byte_s, time.perf_counter() - self._began_s))
        if time.perf_counter() < self._until_s:
            self.send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _fail(self, seen: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(f"{self._load}: {seen!r}"))
        self._transport.abort()


async def send(port: int, model: str, load: Load, *, seconds: float) -> Outcome:
    """Send for so long, at least one request over each connection, and wait for all answers.

    Raises:
        AssertionError: an answer is no whole 200.
        ConnectionError: a connection was closed.
    """
    loop = asyncio.get_running_loop()
    requests = cycle(_requests(model, load.prompt_bytes, stream=load.stream))
    began_s = time.perf_counter()
    clients = [_Client(load, requests, until_s=began_s + seconds) for _ in range(load.connections)]
    await asyncio.gather(*(loop.create_connection(lambda one=one: one, "127.0.0.1", port) for one in clients))
    for client in clients:
        client.send()
    await asyncio.gather(*(client.done for client in clients))
    latencies = [latency for client in clients for latency in client.latencies]
    return Outcome(latencies, time.perf_counter() - began_s)
