"""Where the node's own log goes."""

from __future__ import annotations

import contextlib
import io
import sys


class LogStream(io.TextIOBase):
    """Standard error, but what it does not take is lost: a disk that is full must not end the node and its pods."""

    def write(self, text: str) -> int:
        """Write at once."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """See that it is written."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()
