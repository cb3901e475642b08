"""What was read of the hub, on disk: a commit never changes, so it is never read twice."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.observe.model_files import regular_file

if TYPE_CHECKING:
    from collections.abc import Mapping

# Config, quantization lists and what is known of weights and tokenizer; far more than any model has.
MOST_BYTES = 2**22
# Beside the smallest disk that an operator is given; the oldest go first.
MOST_ENTRIES = 2000


class HubCache:
    """Decoded checkpoints in a directory, which may be lost or full at any time.

    Args:
        directory: made if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: str) -> dict[str, Any] | None:
        """What was kept under a key; None where there is nothing, or nothing that can be read."""
        try:
            content = regular_file(self._path(key), MOST_BYTES)
            decoded = json.loads(content) if isinstance(content, bytes) else None
        except (OSError, ValueError, RecursionError):
            return None
        return decoded if isinstance(decoded, dict) else None

    def put(self, key: str, config: Mapping[str, Any]) -> None:
        """Keep a checkpoint, unless it is too long or the disk does not want it."""
        content = json.dumps(config).encode()
        if len(content) > MOST_BYTES:
            return
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
            # Whole or not at all, whoever else writes at the same time.
            with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".", delete=False) as file:
                file.write(content)
            Path(file.name).replace(self._path(key))
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _make_room(self) -> None:
        entries = sorted(self._directory.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in entries[: max(0, len(entries) - MOST_ENTRIES + 1)]:
            path.unlink(missing_ok=True)
