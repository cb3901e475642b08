"""Find manifests: files, directories with all that is below them, and standard input."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")

MOST_BYTES = 8 * 2**20
"""Of one file. An object of Kubernetes has 1.5 MiB at most, and eight megabytes are 5000 pools."""


class UnreadableError(Exception):
    """There is no such file, or it may not be read."""


@dataclass(frozen=True)
class ManifestFile:
    """A file that may have manifests.

    Attributes:
        name: as it was given or found; "-" for standard input.
        content: None where it has more than `MOST_BYTES`.
    """

    name: str
    content: bytes | None


def manifest_files(paths: list[str]) -> list[ManifestFile]:
    """The files that are meant, each once, in the order in which they were named and in that of the alphabet.

    Raises:
        UnreadableError: which one, and why.
    """
    names = {_identity(name): name for path in paths for name in _names(path)}
    return [ManifestFile(name, _content(name)) for name in names.values()]


def _names(path: str) -> Iterator[str]:
    if path == STDIN or not Path(path).is_dir():
        yield path
        return
    found = (file for file in Path(path).rglob("*") if file.suffix in SUFFIXES and file.is_file())
    # Hidden directories belong to tools.
    yield from sorted(str(file) for file in found if not _is_hidden(file.relative_to(path)))


def _identity(name: str) -> str:
    """What two names of one file have in common."""
    return name if name == STDIN else os.path.realpath(name)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _content(name: str) -> bytes | None:
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableError(f"{name}: {error.strerror}") from error
    return content if len(content) <= MOST_BYTES else None
