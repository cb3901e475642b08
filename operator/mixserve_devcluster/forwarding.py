"""One address of this machine for the pods behind a Service: what `kubectl port-forward` and kube-proxy would do."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from mixserve_devcluster.errors import ApiError, ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mixserve_devcluster.service_endpoints import Address

_log = structlog.get_logger()

# How soon a new pod gets connections; one that is gone refuses them, and the next one is tried.
_REFRESH_S = 1.0
_CONNECT_S = 5.0
_BLOCK_BYTES = 1 << 16


class Forwarder:
    """Takes connections and hands each to the pod that has the fewest of them; TCP, whatever is said on it."""

    def __init__(self, look_up: Callable[[], list[Address]]) -> None:
        self._look_up = look_up
        self._addresses: list[Address] = []
        self._open: Counter[Address] = Counter()
        self._connections: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Forward while the context lasts; gives the port, which is a free one for `port` 0.

        Raises:
            OSError: the port is taken.
            ApiError, ServiceError: the Service can't be looked up at first; later the last known pods are used.
        """
        self._addresses = await asyncio.to_thread(self._look_up)
        server = await asyncio.start_server(self._accept, host, port)
        refreshing = asyncio.create_task(self._refresh())
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await _ended({refreshing, *self._connections})

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            try:
                self._addresses = await asyncio.to_thread(self._look_up)
            except (ApiError, ServiceError) as error:
                _log.warning("lookup_failed", error=str(error))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(_closed, writer)
            for address in sorted(self._addresses, key=lambda each: self._open[each]):
                self._open[address] += 1  # before it is open: others that come now go elsewhere
                try:
                    pod = await asyncio.wait_for(asyncio.open_connection(*address), _CONNECT_S)
                except (OSError, TimeoutError):
                    self._open[address] -= 1
                    continue
                break
            else:
                return
            stack.callback(self._open.subtract, [address])
            stack.push_async_callback(_closed, pod[1])
            await _both_ways((reader, writer), pod)


async def _both_ways(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter], pod: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Copy until the pod has said all; a client that goes away ends it, so that the pod notices."""
    from_client = asyncio.create_task(_copy(client[0], pod[1]))
    to_client = asyncio.create_task(_copy(pod[0], client[1]))
    try:
        await to_client
    except asyncio.CancelledError:
        for _, writer in (client, pod):  # whoever does not read must not hold up the end
            writer.transport.abort()
        raise
    finally:
        await _ended({from_client, to_client})


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while block := await source.read(_BLOCK_BYTES):
            target.write(block)
            await target.drain()
        target.write_eof()
    except OSError:
        target.transport.abort()


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
