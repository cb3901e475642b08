"""What an operator has learned of a pool's checkpoints, as its ConfigMap keeps it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.plan.model_source import Repository

# All of an object may have 1 MiB; a checkpoint's usually have 5 KB.
MOST_CHARACTERS = 9 * 2**16
LONGEST_ENTRY = 2**17


@dataclass(frozen=True)
class Learned:
    """A checkpoint that was read.

    Attributes:
        repository: where it is.
        config: its decoded config.json.
        version: the text by which people ask for another reading, at that time.
    """

    repository: Repository
    config: Mapping[str, Any]
    version: str

    @cached_property
    def text(self) -> str:
        """As it is stored."""
        entry = {
            "source": self.repository.source,
            "revision": self.repository.revision,
            "version": self.version,
            "config": self.config,
        }
        return json.dumps(entry, sort_keys=True, separators=(",", ":"))


def kept_name(pool: str) -> str:
    """The name of a pool's ConfigMap."""
    return f"{pool}-model-files"


def kept_data(learned: Iterable[Learned]) -> dict[str, str]:
    """As it is stored, without what is longer than anything that matters: that is read again after a restart."""
    entries, left = {}, MOST_CHARACTERS
    for key, one in sorted({_key(one.repository): one for one in learned}.items(), key=itemgetter(0)):
        if len(one.text) <= min(LONGEST_ENTRY, left):
            entries[key] = one.text
            left -= len(one.text)
    return entries


def recall(data: Mapping[str, str], repository: Repository) -> Learned | None:
    """What is stored of a checkpoint; None where there is nothing, or nothing that can be read."""
    try:
        entry = json.loads(data.get(_key(repository), "null"))
    except (ValueError, RecursionError):  # edited by hand
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return None
    return Learned(repository, entry["config"], str(entry.get("version", "")))


def _key(repository: Repository) -> str:
    text = f"{repository.source}@{repository.revision or ''}"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
