"""The program runs as an init container would run it, with a library that only says what it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from mixserve.engines.fetch_adapters import fetch_command

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = """
def snapshot_download(repository, *, revision, allow_patterns):
    if repository == "a/missing":
        raise ValueError("no such repository")
    print("asked for", repository, revision, *allow_patterns)
"""


def fetched(scratch: Path, *adapters: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    (scratch / "huggingface_hub.py").write_text(LIBRARY)
    python, *arguments = fetch_command(adapters)
    assert python == "python3"
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_adapter_is_fetched_at_its_commit_without_files_that_run(tmp_path: Path) -> None:
    done = fetched(tmp_path, ("a/b", "0f"), ("c/d", "1e"))

    assert done.stdout.splitlines() == [
        "fetching a/b at 0f",
        "asked for a/b 0f *.json *.safetensors",
        "fetching c/d at 1e",
        "asked for c/d 1e *.json *.safetensors",
    ]


def test_one_that_is_not_there_ends_the_container_with_its_name(tmp_path: Path) -> None:
    done = fetched(tmp_path, ("a/missing", "0f"))

    assert done.returncode != 0
    assert done.stdout == "fetching a/missing at 0f\n"
    assert "no such repository" in done.stderr
