"""Read a model's config.json where the operator can see it: `host://` sources, while developing."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.plan.checkpoint_size import INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.plan.model_source import Repository

# config.json of the largest models has 20 KB; quantization lists may make it longer.
MAX_CONFIG_BYTES = 2**20

# That of DeepSeek-V3 has 9 MB: a line for each tensor of each expert.
MAX_INDEX_BYTES = 2**26

# More models than one development machine has; the oldest is read anew when it is asked for.
MOST_CONFIGS = 1000

_HOST = "host://"


class ModelConfigReader:
    """Reads config.json files and keeps what they said while they do not change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], Mapping[str, Any] | None]] = {}

    async def read(self, repository: Repository) -> Mapping[str, Any] | None:
        """The content of the checkpoint's config.json; None for other sources, and where there is no readable one."""
        if not repository.source.startswith(_HOST):
            return None
        return await asyncio.to_thread(self.read_now, repository)

    def read_now(self, repository: Repository) -> Mapping[str, Any] | None:
        """The same, for a process that has nothing else to do while it waits for the disk."""
        source = repository.source
        if not source.startswith(_HOST):
            return None
        path = Path(source.removeprefix(_HOST), "config.json")
        try:
            found = path.stat()
            version = (found.st_mtime_ns, found.st_size)
            if source not in self._known or self._known[source][0] != version:
                self._known.pop(source, None)
                self._known[source] = (version, _parse(path, found.st_mode, found.st_size))
                if len(self._known) > MOST_CONFIGS:
                    del self._known[next(iter(self._known))]
        except (OSError, ValueError, RecursionError):  # the last one: JSON nested a thousand deep
            return None
        return self._known[source][1]


def _parse(path: Path, mode: int, size: int) -> Mapping[str, Any] | None:
    # A named pipe would never end, and nobody's configuration is that long.
    if not stat.S_ISREG(mode) or size > MAX_CONFIG_BYTES:
        return None
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        return None
    return _with_index(_with_quantization(content, path.with_name("hf_quant_config.json")), path.with_name(INDEX))


def _with_quantization(content: dict[str, Any], beside: Path) -> dict[str, Any]:
    """With what ModelOpt writes into a file of its own, as engines read it."""
    if content.get("quantization_config") is not None or not beside.is_file():
        return content
    is_short = beside.stat().st_size <= MAX_CONFIG_BYTES
    return {**content, "quantization_config": json.loads(beside.read_bytes()) if is_short else "too long to be read"}


def _with_index(content: dict[str, Any], beside: Path) -> dict[str, Any]:
    """With what the index of the weights says of all of them, if it can be read; of its list of tensors nothing."""
    content.pop(INDEX, None)
    try:
        if not beside.is_file() or beside.stat().st_size > MAX_INDEX_BYTES:
            return content
        index = json.loads(beside.read_bytes())
    except (OSError, ValueError, RecursionError):
        return content
    return {**content, INDEX: {"metadata": index.get("metadata")}} if isinstance(index, dict) else content
