"""Engines that cost next to nothing: the same answer for everybody, plain or in chunks. A process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

CHUNKS = 128
_BETWEEN_CHUNKS_S = 0.005

_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": CHUNKS,
    "total_tokens": 100 + CHUNKS,
    "prompt_tokens_details": {"cached_tokens": 64},
}
_PLAIN = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "chat",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "word " * CHUNKS}, "finish_reason": "stop"},
    ],
    "usage": _USAGE,
}
_METRICS = (
    'vllm:num_requests_running{engine="0"} 0.0\nvllm:num_requests_waiting{engine="0"} 0.0\n'
    'vllm:kv_cache_usage_perc{engine="0"} 0.0\n'
)


def _answer(body: str, content_type: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def _event(number: int) -> bytes:
    """A chunk as vLLM writes it with `--enable-force-include-usage`."""
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "chat",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        "usage": {**_USAGE, "completion_tokens": number, "total_tokens": 100 + number},
    }
    return _chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_PLAIN_ANSWER = _answer(json.dumps(_PLAIN), "application/json")
_METRICS_ANSWER = _answer(_METRICS, "text/plain")
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENTS = [_event(number) for number in range(1, CHUNKS + 1)]
_STREAM_END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
# In a body's last characters, as the load of the benchmark and LiteLLM write it.
_STREAM_MARKS = (b'"stream": true', b'"stream":true')
_MARKED_BYTES = 400


class _Engine(asyncio.Protocol):
    """A connection. What is sent is taken to be right: a request with its length, or in chunks."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parts: list[bytes] = []
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        received = b"".join(self._parts)
        head, ended, body = received.partition(b"\r\n\r\n")
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            self._missing = 0 if body.endswith(b"0\r\n\r\n") else 1
        else:
            _, has_body, length = lowered.partition(b"content-length:")
            self._missing = (int(length.split(b"\r\n", 1)[0]) if has_body else 0) - len(body)
        self._parts = [received]
        if ended and self._missing <= 0:
            self._parts, self._missing = [], 0
            self._reply(head, body[-_MARKED_BYTES:])

    def _reply(self, head: bytes, tail: bytes) -> None:
        if head.startswith(b"GET"):
            self._transport.write(_METRICS_ANSWER)
        elif any(mark in tail for mark in _STREAM_MARKS):
            self._transport.write(_STREAM_HEAD)
            self._stream(0)
        else:
            self._transport.write(_PLAIN_ANSWER)

    def _stream(self, number: int) -> None:
        if number == CHUNKS:
            self._transport.write(_STREAM_END)
            return
        self._transport.write(_EVENTS[number])
        asyncio.get_running_loop().call_later(_BETWEEN_CHUNKS_S, self._stream, number + 1)


async def _serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(_Engine, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve([int(port) for port in sys.argv[1:]]))
