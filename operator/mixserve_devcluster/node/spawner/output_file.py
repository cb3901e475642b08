"""A file that takes what a process writes, up to a size."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

# A kubelet's containerLogMaxSize.
_LONGEST_BYTES = 10 << 20


class OutputFile:
    """A file that is put aside for a new one when it has grown long; without a place for that it takes no more.

    What cannot be written is lost: whoever writes it must neither wait for room on the disk nor end for want of it.
    """

    def __init__(self, path: str, put_aside: str | None) -> None:
        """Open `path` to append to it; OSError if that is not possible."""
        self._path = Path(path)
        self._put_aside = put_aside
        self._file = _open(path)
        self._size = os.fstat(self._file).st_size
        self._is_within_line = False
        self._has_complained = False

    def append(self, content: bytes) -> None:
        """Append it, the end of the line that was begun last to the old file and the rest to the new, if need be."""
        try:
            if self._size + len(content) > _LONGEST_BYTES:
                end = content.find(b"\n") + 1 if self._is_within_line else 0
                self._write(content[:end])
                content = content[end:] if self._begin_anew() else b""
            self._write(content)
        except OSError as error:
            self._complain(error)

    def close(self) -> None:
        """Append nothing any more."""
        os.close(self._file)

    def _write(self, content: bytes) -> None:
        if content:
            self._is_within_line = not content.endswith(b"\n")
        while content:
            written = os.write(self._file, content)  # less than all of it when the disk is nearly full
            self._size += written
            content = content[written:]

    def _begin_anew(self) -> bool:
        """Put the file aside and begin another; whether that may be."""
        if self._put_aside is None or self._is_replaced():
            return False
        with contextlib.suppress(FileNotFoundError):  # put aside already, when no new file could be made
            self._path.rename(self._put_aside)
        fresh = _open(str(self._path))
        os.close(self._file)
        self._file, self._size = fresh, 0
        return True

    def _is_replaced(self) -> bool:
        """Whether another process writes to the path by now, and this file is a left-over's of the one before."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            with contextlib.suppress(OSError):  # the disk that has no room may be the one that this goes to
                sys.stderr.write(f"output is lost: {self._path}: {error.strerror}\n")
                sys.stderr.flush()


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
