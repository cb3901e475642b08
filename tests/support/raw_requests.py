"""Requests byte by byte, for what no client library sends."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATIENCE_S = 60.0
_AT_ONCE = 1 << 16


def connect(url: str) -> socket.socket:
    """A connection to a server."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE_S)


def everything(connection: socket.socket) -> bytes:
    """What the server sends until it ends the connection."""
    received = b""
    try:
        while part := connection.recv(_AT_ONCE):
            received += part
    except ConnectionResetError:
        pass
    return received


def answers_to(url: str, parts: Iterable[bytes]) -> bytes:
    """What the server sends to a connection with these bytes, until it ends it; it need not take all of them."""
    with connect(url) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return everything(connection)


def statuses(received: bytes) -> list[int]:
    """The statuses of all answers in it."""
    lines = received.split(b"\r\n")
    return [int(line.split(b" ")[1]) for line in lines if line.startswith(b"HTTP/1.1 ")]
