"""What the containers of a cluster's pods have said, from the files that the local node writes."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, BinaryIO

from mixserve_devcluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How soon a new line is shown.
_POLL_S = 0.2
_BLOCK_BYTES = 1 << 16


def find(logs: Path, *, namespace: str, pod: str, container: str | None) -> Path:
    """Return the log file of a container; `container` may be None for a pod that has one.

    The log of the process before its last restart is beside it; see `previous`.

    Raises:
        ClusterError: there is no such log; names those that there are.
    """
    found = sorted((logs / f"{namespace}_{pod}").glob("*.log"))
    if not found:
        pods = sorted(path.name.partition("_")[2] for path in logs.glob(f"{namespace}_*"))
        raise ClusterError(
            f"no container of pod {pod!r} in namespace {namespace!r} has started here; "
            f"pods with logs there: {', '.join(pods) or 'none'}",
        )
    names = [path.stem for path in found]
    if container is None and len(found) == 1:
        return found[0]
    if container not in names:
        problem = f"pod {pod!r} has no container {container!r}" if container else f"pod {pod!r} has several containers"
        raise ClusterError(f"{problem}; name one with --container: {', '.join(names)}")
    return found[names.index(container)]


def previous(path: Path) -> Path:
    """Return the log of the process before the last restart of a container, given the one of the current.

    Raises:
        ClusterError: the container has not been restarted.
    """
    before = path.with_name(f"{path.name}.1")
    if not before.exists():
        raise ClusterError(f"container {path.stem!r} has not been restarted: there is no previous log")
    return before


def read(path: Path, *, follow: bool) -> Iterator[bytes]:
    """Yield what a log file holds and, with `follow`, what is added, until the file's directory is removed."""
    part: BinaryIO | None = path.open("rb")
    while part is not None:
        with part as file:
            yield from _blocks(file)
            while follow and _is_current(path, file):
                time.sleep(_POLL_S)
                yield from _blocks(file)
            yield from _blocks(file)
        part = _opened(path) if follow else None


def _opened(path: Path) -> BinaryIO | None:
    """The log as it is now; None if its directory is gone."""
    while path.parent.exists():
        with contextlib.suppress(FileNotFoundError):  # for a moment, while the node begins another
            return path.open("rb")
        time.sleep(_POLL_S)
    return None


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


def _is_current(path: Path, file: BinaryIO) -> bool:
    """Whether a file still is the log; when it is long or its container is restarted, the node starts another."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return path.parent.exists()
