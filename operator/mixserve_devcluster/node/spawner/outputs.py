"""Copies what processes write to their log files.

They write to pipes, as in containers: opening /dev/stdout or /proc/1/fd/1 for writing would truncate a plain file.
"""

from __future__ import annotations

import os
import selectors

from mixserve_devcluster.node.spawner.output_file import OutputFile

# What a pipe holds on Linux.
_CHUNK_BYTES = 1 << 16


class Outputs:
    """The reading ends of the pipes of all processes."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._readers: dict[int, OutputFile] = {}

    def open(self, path: str, put_aside: str | None) -> tuple[int, int]:
        """A new pipe, both ends of which close on exec; what is written to it is appended to an `OutputFile`."""
        file = OutputFile(path, put_aside)
        try:
            reader, writer = os.pipe()
        except OSError:
            file.close()
            raise
        os.set_blocking(reader, False)
        self._readers[reader] = file
        self._selector.register(reader, selectors.EVENT_READ, lambda: self.copy(reader))
        return reader, writer

    def copy(self, reader: int) -> bool:
        """Copy what is there now; whether there was anything. At its end the pipe is closed."""
        if reader not in self._readers:
            return False
        try:
            chunk = os.read(reader, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            self._readers[reader].append(chunk)
        else:
            self.close(reader)
        return bool(chunk)

    def drain(self, reader: int) -> None:
        """Copy all that is there."""
        while self.copy(reader):
            pass

    def close(self, reader: int) -> None:
        """Copy nothing any more."""
        self._selector.unregister(reader)
        os.close(reader)
        self._readers.pop(reader).close()
