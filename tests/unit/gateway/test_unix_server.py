"""The server that Envoy asks, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mixserve.gateway.unix_server import Request, UnixServer, response
from support.waiting_in_loop import until


@pytest.fixture
def path(tmp_path_factory) -> str:
    # Short enough for a socket.
    return str(tmp_path_factory.mktemp("s") / "s")


async def exchange(path: str, *requests: bytes) -> list[bytes]:
    """Send requests over one connection, each after the answer to the one before."""
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answers.append(head + await reader.readexactly(length))
    writer.close()
    return answers


def post(path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


async def test_handlers_are_chosen_by_the_beginning_of_the_path(path):
    seen: list[Request] = []

    def at_once(request: Request) -> bytes:
        seen.append(request)
        return response(200, {"a": "b"}, b"one")

    async def later(request: Request) -> bytes:
        seen.append(request)
        await asyncio.sleep(0)
        return response(404, {}, b"two")

    server = UnixServer(path, {"/at-once": at_once, "/later": later})
    await server.start()
    first, second, third = await exchange(path, post("/at-once/x", b"{}", TIER="t"), post("/later"), post("/other"))
    await server.stop()

    assert first == b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 3\r\n\r\none"
    assert second.endswith(b"two")
    assert third.startswith(b"HTTP/1.1 404 ")
    assert (seen[0].path, seen[0].headers["tier"], seen[0].body) == ("/at-once/x", "t", b"{}")
    assert seen[1].body == b""


async def test_a_long_body_comes_whole(path):
    server = UnixServer(path, {"/": lambda request: response(200, {}, str(len(request.body)).encode())})
    await server.start()
    (answer,) = await exchange(path, post("/", b"x" * 3_000_000))
    await server.stop()
    assert answer.endswith(b"3000000")


async def test_a_handler_that_fails_answers_500_and_the_next_request_is_taken(path):
    def fail(_request: Request) -> bytes:
        raise ValueError("meant to fail")

    async def fail_later(_request: Request) -> bytes:
        raise ValueError("meant to fail")

    server = UnixServer(path, {"/now": fail, "/later": fail_later})
    await server.start()
    answers = await exchange(path, post("/now"), post("/later"), post("/now"))
    await server.stop()
    assert all(answer.startswith(b"HTTP/1.1 500 ") for answer in answers)


async def test_what_is_no_http_ends_the_connection(path):
    server = UnixServer(path, {})
    await server.start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"\x16\x03\x01\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    await server.stop()


async def test_a_question_that_nobody_waits_for_any_more_is_given_up(path):
    ended = asyncio.Event()
    asked = asyncio.Event()

    async def endless(_request: Request) -> bytes:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    server = UnixServer(path, {"/": endless})
    await server.start()
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(post("/"))
    await asked.wait()
    writer.close()
    await until(ended.is_set)
    await server.stop()


async def test_a_socket_that_was_left_behind_is_replaced(path):
    for _ in range(2):
        server = UnixServer(path, {"/": lambda _request: response(200, {})})
        await server.start()
    assert (await exchange(path, post("/")))[0].startswith(b"HTTP/1.1 200 ")
    await server.stop()
    with pytest.raises(FileNotFoundError):
        await asyncio.open_unix_connection(path)


async def test_the_end_of_the_server_ends_its_connections(path):
    server = UnixServer(path, {"/": lambda _request: response(200, {})})
    await server.start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(post("/"))
    await reader.readuntil(b"\r\n\r\n")
    await server.stop()
    assert await reader.read() == b""
    writer.close()
