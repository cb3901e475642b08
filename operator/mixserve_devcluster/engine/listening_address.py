"""The address that the server listens on: taken at the start, as by vLLM, and opened when the engine is ready."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from mixserve_devcluster.engine.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that has the address and does not listen yet, so that connections are refused.

    Raises:
        AddressError: the address is taken, or there is no such address here.
    """
    with clear_errors():
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    with socket.socket(family, kind, protocol) as taken:
        # A connection of an engine that has just ended is not in the way.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with clear_errors():
            taken.bind(address)
        yield taken


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what the system says of an address into an AddressError; another may take it until it is opened, too."""
    try:
        yield
    except OSError as error:
        raise AddressError(f"{type(error).__name__}: [Errno {error.errno}] {error.strerror}") from error
