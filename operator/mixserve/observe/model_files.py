"""Read what there is to know of a checkpoint in a directory: of `host://` sources, and of mounted volumes."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.observe.checkpoint import (
    CONFIG,
    QUANTIZATION,
    File,
    NoConfigError,
    Unread,
    config_of,
    limits,
    with_index,
    with_quantization,
    with_tokenizer,
)
from mixserve.observe.tokenizer import SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG
from mixserve.plan.checkpoint_size import INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.plan.absence import Absences
    from mixserve.plan.model_source import Repository

# More models than one development machine has; the oldest is read anew when it is asked for.
MOST_CONFIGS = 1000

_HOST = "host://"

_Versions = tuple[tuple[int, int] | None, ...]


class ModelConfigReader:
    """Reads checkpoints of `host://` sources and keeps what they said while their files do not change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Versions, Mapping[str, Any] | None]] = {}

    async def read(self, repository: Repository, _pool: object = None) -> Mapping[str, Any] | None:
        """The content of the checkpoint's config.json; None for other sources, and where there is no readable one."""
        if not repository.source.startswith(_HOST):
            return None
        return await asyncio.to_thread(self.read_now, repository)

    def absences(self, _pool: object = None) -> Absences:
        """Nothing: what is not there now may be at the next look, which is soon."""
        return {}

    def keep_only(self, _repositories: object, _pool: object) -> None:
        """Nothing: what is known of a directory is bounded, and several pools may share it."""

    def read_now(self, repository: Repository) -> Mapping[str, Any] | None:
        """The same as `read`, for a process that has nothing else to do while it waits for the disk."""
        source = repository.source
        if not source.startswith(_HOST):
            return None
        directory = Path(source.removeprefix(_HOST))
        versions = tuple(_version(directory / name) for name in limits())
        if source not in self._known or self._known[source][0] != versions:
            self._known.pop(source, None)
            self._known[source] = (versions, _readable(directory))
            if len(self._known) > MOST_CONFIGS:
                del self._known[next(iter(self._known))]
        return self._known[source][1]


def read_directory(directory: Path) -> dict[str, Any]:
    """What a checkpoint in a directory says, decoded.

    Raises:
        NoConfigError: there is no config.json that can be read; says why.
    """
    most = limits()
    try:
        config = config_of(regular_file(directory / CONFIG, most[CONFIG]))
    except OSError as error:
        raise NoConfigError(f"its config.json can't be read: {error.strerror}") from error

    def beside(name: str) -> File:
        try:
            return regular_file(directory / name, most[name])
        except OSError:
            return None

    config = with_index(with_quantization(config, beside(QUANTIZATION)), beside(INDEX))
    return with_tokenizer(
        config,
        beside(TOKENIZER),
        tokenizer_config=beside(TOKENIZER_CONFIG),
        special_tokens=beside(SPECIAL_TOKENS),
    )


def _readable(directory: Path) -> dict[str, Any] | None:
    try:
        return read_directory(directory)
    except NoConfigError:
        return None


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def regular_file(path: Path, most_bytes: int) -> File:
    """A regular file's content; a link to one counts.

    Raises:
        OSError: it can't be opened.
    """
    # Not waiting: a named pipe would never end, and it may take the place of a file at any moment.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most_bytes + 1)
    return Unread.TOO_LONG if len(content) > most_bytes else content
