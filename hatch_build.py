"""Compiles Envoy's module when the package is built, or installed from sources: for both machines that pods run on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = Path("operator/mixserve/envoy_module")
_MACHINES = ("x86_64", "aarch64")


class CompileModule(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Called by hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's own
        """Compile, and have the results packed."""
        sources = Path(self.root) / _SOURCES
        for machine in _MACHINES:
            compiled = sources / f"libmixserve.{machine}.so"
            self._compile(sources / "module.zig", compiled, machine)
            build_data["artifacts"].append(str(_SOURCES / compiled.name))

    def _compile(self, source: Path, compiled: Path, machine: str) -> None:
        # Renamed into place: an Envoy that has the one of before goes on with it.
        beside = compiled.with_suffix(".new")
        command = [sys.executable, "-m", "ziglang", "build-lib", "-dynamic", "--name", "mixserve", str(source)]
        # Checks stay in, since requests are strangers'. No C library: it runs beside whichever Envoy was built with.
        options = ["-O", "ReleaseSafe", "-fstrip", "-target", f"{machine}-linux-gnu", f"-femit-bin={beside}"]
        subprocess.run([*command, *options], check=True, env=_environment())
        beside.replace(compiled)


def _environment() -> dict[str, str]:
    """Zig keeps what it has compiled in the user's cache, and needs a place where there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - works without HOME
    cache = Path(base) / "mixserve" / "zig"
    return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
