"""An engine that costs next to nothing: the same answer for everybody, plain or in chunks. A process of its own."""

from __future__ import annotations

import asyncio
import json
import sys

CHUNKS = 128
_BETWEEN_CHUNKS_S = 0.005

_USAGE = {"prompt_tokens": 100, "completion_tokens": 128, "total_tokens": 228}
_PLAIN = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "chat",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "word " * 100}, "finish_reason": "stop"},
        ],
        "usage": _USAGE,
    }
).encode()
_METRICS = (
    b'vllm:num_requests_running{engine="0"} 0.0\nvllm:num_requests_waiting{engine="0"} 0.0\n'
    b'vllm:kv_cache_usage_perc{engine="0"} 0.0\n'
)


def _answer(body: bytes, content_type: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(number: int) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "chat",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        "usage": {**_USAGE, "completion_tokens": number},
    }
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


_PLAIN_ANSWER = _answer(_PLAIN, "application/json")
_METRICS_ANSWER = _answer(_METRICS, "text/plain")
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENTS = [_event(number) for number in range(1, CHUNKS + 1)]
_STREAM_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            body = await _body(reader, lowered)
            if head.startswith(b"GET /metrics"):
                writer.write(_METRICS_ANSWER)
            elif b'"stream": true' in body[-400:]:
                await _stream(writer)
            else:
                writer.write(_PLAIN_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return body
    _, found, rest = head.partition(b"content-length:")
    return await reader.readexactly(int(rest.split(b"\r\n", 1)[0])) if found else b""


async def _stream(writer: asyncio.StreamWriter) -> None:
    writer.write(_STREAM_HEAD)
    for event in _EVENTS:
        writer.write(event)
        await writer.drain()
        await asyncio.sleep(_BETWEEN_CHUNKS_S)
    writer.write(_STREAM_END)


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port, limit=2**24)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
