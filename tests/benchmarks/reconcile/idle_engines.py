"""Simulated engines for pods of hollow nodes: one listener for all their addresses, which says that nothing runs.

Without it the operator would find every pod silent, and its conditions and events about that would be part of what is
measured.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from metered_engine import IDLE_PAGE

PORT = 8000
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
    len(IDLE_PAGE.encode()),
    IDLE_PAGE.encode(),
)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def idle_engines() -> AsyncIterator[None]:
    """Answer on every loopback address while the context lasts.

    Raises:
        OSError: something listens on the engines' port already.
    """
    # Loopback addresses are as many as there are pods; one socket for all of them has to listen on all addresses.
    server = await asyncio.start_server(_answer, "0.0.0.0", PORT, backlog=1024)
    async with server:
        yield
