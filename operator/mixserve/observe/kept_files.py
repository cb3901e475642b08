"""What an operator has learned of a pool's checkpoints, as its ConfigMap keeps it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.plan.model_source import Repository

# All of an object may have 1 MiB; a checkpoint's usually have 5 KB.
MOST_CHARACTERS = 9 * 2**16
LONGEST_ENTRY = 2**17


@dataclass(frozen=True)
class Learned:
    """A checkpoint that was read.

    Attributes:
        config: its decoded config.json.
        version: the text by which people ask for another reading, at that time.
    """

    config: Mapping[str, Any]
    version: str


def kept_name(pool: str) -> str:
    """The name of a pool's ConfigMap."""
    return f"{pool}-model-files"


def kept_data(learned: Mapping[Repository, Learned]) -> dict[str, str]:
    """As it is stored, without what is longer than anything that matters: that is read again after a restart."""
    entries, left = {}, MOST_CHARACTERS
    for repository, one in sorted(learned.items(), key=lambda pair: _key(pair[0])):
        entry = {
            "source": repository.source,
            "revision": repository.revision,
            "version": one.version,
            "config": one.config,
        }
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        if len(text) <= min(LONGEST_ENTRY, left):
            entries[_key(repository)] = text
            left -= len(text)
    return entries


def recall(data: Mapping[str, str], repository: Repository) -> Learned | None:
    """What is stored of a checkpoint; None where there is nothing, or nothing that can be read."""
    try:
        entry = json.loads(data.get(_key(repository), "null"))
    except (ValueError, RecursionError):  # edited by hand
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return None
    return Learned(entry["config"], str(entry.get("version", "")))


def _key(repository: Repository) -> str:
    text = f"{repository.source}@{repository.revision or ''}"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
