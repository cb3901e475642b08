"""Compile a program from a pinned Go module into the user's cache, once."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve_devcluster import go_toolchain
from mixserve_devcluster.errors import BuildError
from mixserve_devcluster.lock_file import locked
from mixserve_devcluster.processes import GuardedProcess, require_linux
from mixserve_devcluster.progress import ProgressLine
from mixserve_devcluster.scratch import scratch_directory

if TYPE_CHECKING:
    from pathlib import Path

# Between two looks at a running build.
_POLL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class GoProgram:
    """A program and the module that pins everything it is made of.

    Attributes:
        name: of the executable.
        module: directory with go.mod and go.sum; it may be read-only.
        package: import path of the command.
        version_package: import path of the package whose variables take the version, as Kubernetes has it.
    """

    name: str
    module: Path
    package: str
    version_package: str | None = None

    @property
    def version(self) -> str:
        """The version of what go.mod requires first, such as `v1.36.1`; `local` where it requires nothing."""
        required = re.search(r"^require \S+ (v\S+)$", (self.module / "go.mod").read_text(), re.MULTILINE)
        return required[1] if required else "local"

    def cached(self, cache: Path) -> Path:
        """Where the compiled program is, or will be: the path names the version and all that went into it."""
        content = hashlib.sha256(f"{platform.machine()} {self.package} {self._ldflags()}".encode())
        for file in sorted(self.module.iterdir()):
            content.update(file.name.encode() + b"\0" + file.read_bytes())
        return cache / self.name / f"{self.version}-{content.hexdigest()[:12]}" / self.name

    def command(self, go: Path, output: Path) -> list[str]:
        """The command that compiles it; `-v` names each package, which shows how far it is."""
        flags = ["-v", "-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags", self._ldflags()]
        return [str(go), "build", "-C", str(self.module), *flags, "-o", str(output), self.package]

    def _ldflags(self) -> str:
        if self.version_package is None:
            return "-s -w"
        major, minor = self.version.removeprefix("v").split(".")[:2]
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        stamps = [f"-X {self.version_package}.{variable}={value}" for variable, value in values.items()]
        return " ".join(["-s", "-w", *stamps])


def build(program: GoProgram, cache: Path) -> Path:
    """Return the compiled program, compiling it first if the cache lacks it.

    Of two that build at once, the second waits for the first.

    Raises:
        PlatformError: this is not Linux.
        BuildError: with the end of the compiler's output.
    """
    require_linux()
    target = program.cached(cache)
    # One lock for all programs: two compilations at once take 4 GB of memory and are no faster.
    with locked(cache / "build.lock", waiting=f"waiting for another build before {program.name}"):
        if not target.exists():
            _compile(program, target, cache)
    return target


def _compile(program: GoProgram, target: Path, cache: Path) -> None:
    try:
        go = go_toolchain.find(program.module / "go.mod", cache / "go")
        with scratch_directory(target.parent / "building") as scratch:
            _run(program, program.command(go, scratch / program.name), scratch, _environment(scratch, cache))
            (scratch / program.name).rename(target)
    except BuildError as error:
        raise BuildError(
            f"{program.name} cannot be built: {error}\n"
            "Install Go from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a directory with the binaries.",
        ) from error


def _run(program: GoProgram, command: list[str], scratch: Path, environment: dict[str, str]) -> None:
    with (
        ProgressLine(f"building {program.name} {program.version} (once, it is cached)") as progress,
        GuardedProcess.running("go", command, log_file=scratch / "go.log", environment=environment) as go,
    ):
        while go.wait(_POLL_S) is None:
            progress.update(go.log_tail(1))
        if go.exit_code != 0:
            raise BuildError(f"the end of what Go says:\n{go.log_tail(20)}")


def _environment(scratch: Path, cache: Path) -> dict[str, str]:
    # In our cache, also where there is no home directory for Go's own. They outlive an interrupted build: the next one
    # goes on where it stopped.
    caches = {"GOMODCACHE": cache / "go-modules", "GOCACHE": cache / "go-build"}
    chosen = {name: os.environ.get(name) or str(path) for name, path in caches.items()}
    # The user's flags and workspace stay out, so that everybody builds the same program.
    fixed = {
        # Otherwise modules are read-only, and `rm -rf` of the cache fails.
        "GOFLAGS": "-modcacherw",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOTMPDIR": str(scratch),
    }
    return {**os.environ, **chosen, **fixed}
