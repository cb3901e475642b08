"""An engine that answers with bytes that a test names, piece by piece, and ends as the test says."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mixserve.controller.stopping import cancel_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKED = "transfer-encoding: chunked"
EVENTS = "content-type: text/event-stream; charset=utf-8"
JSON = "content-type: application/json"


@dataclass
class RawEngine:
    """The same answer for each request.

    Attributes:
        pieces: of the body; each is a write of its own, and arrives alone.
        headers: of the answer; without `CHUNKED` the body is written as it is.
        status: of the answer.
        ending: whole: as HTTP has it; fin and rst: the connection ends before that.
        wait: before the connection ends so.
    """

    pieces: list[bytes] = field(default_factory=list)
    headers: tuple[str, ...] = (EVENTS, CHUNKED)
    status: int = 200
    ending: Literal["whole", "fin", "rst"] = "whole"
    wait: asyncio.Event | None = None
    endpoint: str = ""
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the connection ends."""
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            # It may be the other side that ends it.
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.close()
            self.serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write("\r\n".join([f"HTTP/1.1 {self.status} X", *self.headers, "\r\n"]).encode())
            for piece in self.pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if CHUNKED in self.headers else piece)
                await writer.drain()
                await asyncio.sleep(0.002)  # so that the pieces arrive one by one
            if self.ending != "whole":
                await self._break_off(writer)
                return
            if CHUNKED in self.headers:
                writer.write(b"0\r\n\r\n")

    async def _break_off(self, writer: asyncio.StreamWriter) -> None:
        if self.wait is not None:
            await self.wait.wait()
        if self.ending == "rst":
            # Without lingering, closing sends a reset.
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@asynccontextmanager
async def raw_engine() -> AsyncIterator[RawEngine]:
    """An engine that listens while the context lasts."""
    engine = RawEngine()
    server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
    engine.endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield engine
    finally:
        server.close()
        await cancel_all(engine.serving)
