"""The log files of containers."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

# How far back last lines are looked for at most: enough for the lines that people ask for.
_BLOCK_BYTES = 1 << 20


class LogDirectory:
    """`<namespace>_<pod>/<container>.log` for the running process and `.log.1` for the one before it.

    A long log is in two parts, the older of which has `.old` at the end of its name; what was before that is dropped.
    The files outlive their pod, since that is when they are wanted most; they go with the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def file(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> Path:
        """Where a container's log is."""
        return self._directory / f"{namespace}_{pod}" / f"{container}.log{'.1' if previous else ''}"

    def start(self, namespace: str, pod: str, container: str) -> Path:
        """Begin the log of a new process, keeping the one before it; return the file."""
        current = self.file(namespace, pod, container)
        previous = self.file(namespace, pod, container, previous=True)
        current.parent.mkdir(parents=True, exist_ok=True)
        if current.exists():
            older(previous).unlink(missing_ok=True)
        for file, kept in ((older(current), older(previous)), (current, previous)):
            if file.exists():
                file.rename(kept)
        current.touch()
        return current

    def open(self, namespace: str, pod: str, container: str, *, previous: bool) -> LogReader:
        """Read a container's log.

        Raises:
            FileNotFoundError: there is none.
        """
        before = self.file(namespace, pod, container, previous=True)
        return LogReader(before, None) if previous else LogReader(self.file(namespace, pod, container), before)


def older(log: Path) -> Path:
    """Where the older part of a log is, if the log has become long."""
    return log.with_name(f"{log.name}.old")


class LogReader:
    """Reads the log of one process while it is written and put aside.

    Args:
        log: the file; FileNotFoundError if it is not there.
        kept: where the log is from when another process has one; None if that is so already.
    """

    def __init__(self, log: Path, kept: Path | None) -> None:
        self._log = log
        self._kept = kept
        self._part = log.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._part.close()

    def skip_to_last(self, lines: int) -> None:
        """Go to where the last `lines` lines of the file begin."""
        self._part.seek(_start_of_last(self._part, lines))

    def read(self, size: int) -> bytes:
        """The next bytes; empty if there are none yet."""
        chunk = self._part.read(size)
        if chunk or self._kept is None or _is_at(self._log, self._part) or _is_at(self._kept, self._part):
            return chunk
        # Something may have been added between that look and the end of this part.
        return self._part.read(size) or self._read_next_part(self._kept, size)

    def _read_next_part(self, kept: Path, size: int) -> bytes:
        """Go on with the next part; with the newest, if this one was dropped before it was read."""
        path = kept if _is_at(older(kept), self._part) else self._log
        with contextlib.suppress(FileNotFoundError):  # for a moment, while a part is put aside
            part = path.open("rb")
            self._part.close()
            self._part = part
            return part.read(size)
        return b""


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def tail(file: Path, *, lines: int, size_bytes: int | None = None) -> bytes:
    """The last `lines` lines of a file, and of these at most the last `size_bytes` bytes."""
    with file.open("rb") as log:
        log.seek(_start_of_last(log, lines))
        content = log.read()
    return content if size_bytes is None else content[-size_bytes:]


def _start_of_last(log: BinaryIO, lines: int) -> int:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _BLOCK_BYTES))
    found = log.read().splitlines(keepends=True)
    return log.tell() - sum(map(len, found[-lines:] if lines else []))
