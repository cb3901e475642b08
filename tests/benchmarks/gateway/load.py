"""Requests over kept connections, one after the other on each, and how long each took."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Request:
    """What is sent: `prompt_bytes` of text to a model, answered at once or in a stream."""

    model: str
    prompt_bytes: int
    stream: bool

    def encoded(self, port: int) -> bytes:
        """The bytes on the wire."""
        text = ("the quick brown fox jumps over the lazy dog " * (self.prompt_bytes // 44 + 1))[: self.prompt_bytes]
        # "stream" last: the engine of the benchmark looks for it at the end.
        body = json.dumps(
            {"model": self.model, "messages": [{"role": "user", "content": text}], "stream": self.stream}
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            "content-type: application/json\r\nauthorization: Bearer sk-benchmark\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Latency(NamedTuple):
    """Of one request, in seconds: until the answer began, and until it had ended."""

    first_byte_s: float
    whole_s: float


async def send_all(port: int, request: Request, *, connections: int, count: int) -> list[Latency]:
    """Send `count` requests over `connections` at once.

    Raises:
        AssertionError: an answer is no 200.
    """
    payload = request.encoded(port)
    left = iter(range(count))
    found = await asyncio.gather(*(_send_some(port, payload, left) for _ in range(connections)))
    return [latency for some in found for latency in some]


async def _send_some(port: int, payload: bytes, left: object) -> list[Latency]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    taken = []
    try:
        for _ in left:  # type: ignore[attr-defined]
            began_s = time.perf_counter()
            writer.write(payload)
            head = await reader.readuntil(b"\r\n\r\n")
            first_byte_s = time.perf_counter() - began_s
            assert head.startswith(b"HTTP/1.1 200"), head
            await _skip_body(reader, head.lower())
            taken.append(Latency(first_byte_s, time.perf_counter() - began_s))
    finally:
        writer.close()
    return taken


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
        return
    await reader.readexactly(int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
