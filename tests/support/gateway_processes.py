"""The processes of a namespace's pods on the local node."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping


def python_of(pod: Mapping[str, Any]) -> int | None:
    """The process beside a gateway's Envoy; None while there is none."""
    return _process(pod, b"mixserve.cli", b"gateway")


def envoy_of(pod: Mapping[str, Any]) -> int | None:
    """A gateway's Envoy."""
    return _process(pod, b"--config-path")


def engine_of(pod: Mapping[str, Any]) -> int | None:
    """A simulated engine."""
    return _process(pod, b"mixserve_devcluster.engine")


def kill(process: int | None) -> None:
    """End a process as a crash would; it is gone when this returns."""
    assert process is not None
    os.kill(process, signal.SIGKILL)
    eventually(lambda: not _runs(process), f"end of process {process}")


def _process(pod: Mapping[str, Any], *words: bytes) -> int | None:
    """The process of a pod whose command line has the words."""
    name = b"HOSTNAME=" + pod["metadata"]["name"].encode()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().split(b"\0")
            if set(words) <= set(command) and name in (directory / "environ").read_bytes().split(b"\0"):
                return int(directory.name)
        except OSError:  # it has ended
            continue
    return None


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
