"""How large a checkpoint says that its weights are: better than any formula, where it says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INDEX = "model.safetensors.index.json"
"""The file beside config.json in which a checkpoint of several files has its size. Whoever reads config.json puts what
is in it under this name beside config.json's own keys."""

_LARGEST_BYTES = 10**15


def checkpoint_bytes(config: Mapping[str, Any]) -> int | None:
    """`metadata.total_size` of the index; None where it is absent or no size."""
    index = config.get(INDEX)
    metadata = index.get("metadata") if isinstance(index, Mapping) else None
    size = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    # Some libraries write it as a float.
    if isinstance(size, bool) or not isinstance(size, int | float) or not 1 <= size <= _LARGEST_BYTES:
        return None
    return int(size)
