"""A directory for work that either ends well or leaves nothing."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """Make `path` an empty directory and remove it in the end.

    The name is fixed: what a killed process has left in it, the next one removes. The caller holds a lock.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
