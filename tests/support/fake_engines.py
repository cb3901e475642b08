"""HTTP servers that stand for engines, run beside a test."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import HTTPServer

ServerT = TypeVar("ServerT", bound="HTTPServer")


@contextmanager
def running(server: ServerT) -> Iterator[ServerT]:
    """Serve until the end of the block, in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
