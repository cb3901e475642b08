"""A lock on a file, and a line that says what is being waited for while somebody else holds it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import filelock

from mixserve_devcluster.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Between two looks at another one's lock.
_POLL_S = 1.0


@contextlib.contextmanager
def locked(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold the lock `path`, whose hold the kernel ends when its holder dies; `waiting` says for what others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        _wait_for(lock, waiting)
    try:
        yield
    finally:
        lock.release()


def _wait_for(lock: filelock.FileLock, what: str) -> None:
    with ProgressLine(what) as progress:
        while not lock.is_locked:
            progress.update()
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=_POLL_S)
