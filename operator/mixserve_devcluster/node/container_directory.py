"""A container's own files on the host: what would be in its writable layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ContainerDirectory:
    """The paths of one container; `make` is to be called for each new process."""

    path: Path

    @property
    def home(self) -> Path:
        """HOME, and where a process starts if the container names no working directory."""
        return self.path / "home"

    @property
    def temporary(self) -> Path:
        """TMPDIR."""
        return self.path / "tmp"

    @property
    def stage(self) -> Path:
        """An empty directory to mount on."""
        return self.path / "stage"

    @property
    def kubeconfig(self) -> Path:
        """For a process that cannot see its service account at the usual path."""
        return self.path / "kubeconfig"

    @property
    def termination_log(self) -> Path:
        """What the process sees at its terminationMessagePath."""
        return self.path / "termination-log"

    def make(self) -> None:
        """Make everything for a new process."""
        for directory in (self.home, self.temporary, self.stage):
            directory.mkdir(parents=True, exist_ok=True)
        self.termination_log.write_bytes(b"")
