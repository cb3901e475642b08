"""The program of the init container that fetches LoRA adapters from the hub, each at its commit.

Engines take an adapter from the hub by its name alone, so always the newest one. This program runs with the engine's
image, whose `python3` has the hub's library, and puts the files into the pod's cache, where the engine is told to find
them. Of an adapter's files only those are fetched that no Python is run from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = """\
import sys
from huggingface_hub import snapshot_download

for wanted in sys.argv[1:]:
    repository, _, revision = wanted.partition("@")
    print("fetching %s at %s" % (repository, revision), flush=True)
    snapshot_download(repository, revision=revision, allow_patterns=["*.json", "*.safetensors"])
"""


def fetch_command(adapters: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The command that ends well once all `adapters`, (ORGANISATION/NAME, commit) each, are in the cache."""
    return ("python3", "-c", PROGRAM, *(f"{repository}@{revision}" for repository, revision in adapters))
