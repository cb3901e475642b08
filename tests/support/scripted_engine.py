"""An engine of which a test says how each request ends; it runs in the test's event loop."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

CHUNKS = 20
PROMPT_TOKENS = 11
CACHED_TOKENS = 7


@dataclass
class Script:
    """What becomes of a request.

    Attributes:
        status: of the answer.
        first_byte_after: before the headers of the answer are sent, wait for this.
        die_after_chunks: end the connection after so many chunks of a stream; before anything for -1.
        chunk_after: before each chunk but the first `chunks_at_once`, wait for this.
    """

    status: int = 200
    first_byte_after: asyncio.Event | None = None
    die_after_chunks: int | None = None
    chunk_after: asyncio.Event | None = None
    chunks_at_once: int = 1


@dataclass
class Seen:
    """A request that reached the engine."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedEngine:
    """Answers like vLLM, or as the scripts say: the first for the first request, and so on; then as usual.

    Attributes:
        name: the model that its answers name.
        always: the script where none is left.
    """

    name: str
    endpoint: str = ""
    scripts: deque[Script] = field(default_factory=deque)
    always: Script = field(default_factory=Script)
    seen: list[Seen] = field(default_factory=list)
    left: int = 0
    """Requests whose client went away."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.path, dict(request.headers), body))
        script = self.scripts.popleft() if self.scripts else self.always
        try:
            return await self._follow(script, request, json.loads(body))
        except (asyncio.CancelledError, ConnectionResetError):
            self.left += 1
            raise

    async def _follow(self, script: Script, request: web.Request, body: Any) -> web.StreamResponse:
        if script.first_byte_after is not None:
            await script.first_byte_after.wait()
        if script.die_after_chunks == -1:
            return self._die(request)
        if script.status != 200:
            error = {"message": f"{self.name} says {script.status}", "type": "x", "param": None, "code": script.status}
            return web.json_response({"error": error}, status=script.status)
        if body.get("stream"):
            return await self._stream(script, request)
        return web.json_response(self._embeddings() if "input" in body else self._plain())

    async def _stream(self, script: Script, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        writer = await response.prepare(request)
        assert writer is not None
        # As engines do when they have taken a request; the server itself would wait for the first chunk.
        writer.send_headers()
        for number in range(CHUNKS):
            if script.chunk_after is not None and number >= script.chunks_at_once:
                await script.chunk_after.wait()
            if number == script.die_after_chunks:
                return self._die(request)
            await response.write(chunk(self.name, number))
            # Let the client's end reach us.
            await asyncio.sleep(0)
        await response.write(b"data: [DONE]\n\n")
        return response

    def _die(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _plain(self) -> Any:
        message = {"role": "assistant", "content": f"I am {self.name}."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**_frame(self.name, "chat.completion"), "choices": [choice], "usage": usage(CHUNKS)}

    def _embeddings(self) -> Any:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5] * 8}]
        return {"object": "list", "model": self.name, "data": data, "usage": {"prompt_tokens": 11, "total_tokens": 11}}


def chunk(name: str, number: int) -> bytes:
    """A chunk of a stream, with the tokens until then as vLLM sends them with --enable-force-include-usage."""
    choice = {"index": 0, "delta": {"content": f" {number}"}, "finish_reason": None}
    event = {**_frame(name, "chat.completion.chunk"), "choices": [choice], "usage": usage(number + 1)}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def whole_stream(name: str) -> bytes:
    """All bytes of a stream's body."""
    return b"".join(chunk(name, number) for number in range(CHUNKS)) + b"data: [DONE]\n\n"


def usage(completion: int) -> Any:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion,
        "total_tokens": PROMPT_TOKENS + completion,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
    }


def _frame(name: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": name}


@asynccontextmanager
async def scripted_engine(name: str) -> AsyncIterator[ScriptedEngine]:
    """An engine at a free port of the loopback interface; its handlers are cancelled when their client goes."""
    engine = ScriptedEngine(name)
    app = web.Application(client_max_size=2**25)
    app.router.add_post("/{path:.*}", engine.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    engine.endpoint = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield engine
    finally:
        await runner.cleanup()
