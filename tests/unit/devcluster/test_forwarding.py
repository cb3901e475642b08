from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import forwarding
from mixserve_devcluster.errors import ApiError
from mixserve_devcluster.forwarding import Forwarder
from support.waiting_in_loop import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mixserve_devcluster.service_endpoints import Address


class Pod:
    """A server that says its name and then whatever it is told; `open` says how many connections it has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Address]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()
        await until(lambda: self.open == 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        writer.write(f"{self.name}\n".encode())
        with contextlib.suppress(OSError):
            while block := await reader.read(100):
                writer.write(block)
        writer.close()
        self.open -= 1


async def connect(port: int) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return (await reader.readline()).decode().strip(), reader, writer


async def test_bytes_go_both_ways_and_an_end_is_passed_on() -> None:
    pod = Pod("a")
    async with pod.serving() as address, Forwarder(lambda: [address]).listening("127.0.0.1", 0) as port:
        name, reader, writer = await connect(port)
        writer.write(b"hello")
        writer.write_eof()
        assert (name, await reader.read()) == ("a", b"hello")
        writer.close()


async def test_connections_that_come_at_once_are_shared_as_well() -> None:
    pods = [Pod("a"), Pod("b")]
    async with (
        pods[0].serving() as first,
        pods[1].serving() as second,
        Forwarder(lambda: [first, second]).listening("127.0.0.1", 0) as port,
    ):
        held = await asyncio.gather(*(connect(port) for _ in range(6)))
        assert sorted(name for name, _, _ in held) == ["a", "a", "a", "b", "b", "b"]
        for _, _, writer in held:
            writer.close()


async def test_a_client_that_goes_away_is_gone_for_the_pod() -> None:
    pod = Pod("a")
    async with pod.serving() as address, Forwarder(lambda: [address]).listening("127.0.0.1", 0) as port:
        _, _, writer = await connect(port)
        writer.transport.abort()
        await until(lambda: pod.open == 0)


async def test_the_pod_with_the_fewest_connections_gets_the_next_one() -> None:
    pods = [Pod("a"), Pod("b")]
    async with (
        pods[0].serving() as first,
        pods[1].serving() as second,
        Forwarder(lambda: [first, second]).listening("127.0.0.1", 0) as port,
    ):
        held = [await connect(port) for _ in range(4)]
        assert [name for name, _, _ in held] == ["a", "b", "a", "b"]
        for _, _, writer in held:
            writer.close()


async def test_a_pod_that_refuses_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()
    pod = Pod("a")
    async with pod.serving() as address, Forwarder(lambda: [refusing, address]).listening("127.0.0.1", 0) as port:
        name, _, writer = await connect(port)
        assert name == "a"
        writer.close()


async def test_the_end_does_not_wait_for_a_client_that_does_not_read() -> None:
    pod = Pod("a")
    async with pod.serving() as address:
        async with Forwarder(lambda: [address]).listening("127.0.0.1", 0) as port:
            _, _, writer = await connect(port)
            for _ in range(20):
                writer.write(bytes(1 << 20))
        async with asyncio.timeout(5):
            await until(lambda: pod.open == 0)
        writer.transport.abort()


async def test_without_pods_the_connection_is_closed() -> None:
    async with Forwarder(list).listening("127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_pods_are_looked_up_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "_REFRESH_S", 0.01)
    pod = Pod("a")
    answers: list[list[Address] | Exception] = [[], ApiError("no answer")]
    async with pod.serving() as address:

        def look_up() -> list[Address]:
            answer = answers.pop(0) if answers else [address]
            if isinstance(answer, Exception):
                raise answer
            return answer

        forwarder = Forwarder(look_up)
        async with forwarder.listening("127.0.0.1", 0) as port:
            await until(lambda: forwarder._addresses)
            name, _, writer = await connect(port)
            assert name == "a"
            writer.close()


async def test_a_service_that_is_not_there_is_said_at_once() -> None:
    def look_up() -> list[Address]:
        raise ApiError("404", 404)

    with pytest.raises(ApiError):
        async with Forwarder(look_up).listening("127.0.0.1", 0):
            pass
