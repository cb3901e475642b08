"""The log files of containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# How far back `tail` looks at most: enough for the lines that people ask for.
_BLOCK_BYTES = 1 << 20


class LogDirectory:
    """`<namespace>_<pod>/<container>.log` for the running process and `.log.1` for the one before it.

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
        current.parent.mkdir(parents=True, exist_ok=True)
        if current.exists():
            current.rename(self.file(namespace, pod, container, previous=True))
        current.touch()
        return current


def tail(file: Path, *, lines: int, size_bytes: int | None = None) -> bytes:
    """The last `lines` lines of a file, and of these at most the last `size_bytes` bytes."""
    with file.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(0, log.tell() - _BLOCK_BYTES))
        content = b"".join(log.read().splitlines(keepends=True)[-lines:]) if lines else b""
    return content if size_bytes is None else content[-size_bytes:]
