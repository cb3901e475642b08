"""Compiles Envoy's module when the package is built, or installed from sources: for both machines that pods run on."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = Path("operator/mixserve/envoy_module")
_MACHINES = ("x86_64", "aarch64")
_PATIENCE_S = 900.0


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
        beside = compiled.with_suffix(f".{os.getpid()}.new")
        command = [sys.executable, "-m", "ziglang", "build-lib", "-dynamic", "--name", "mixserve", str(source)]
        # Checks stay in, since requests are strangers'. No C library: it runs beside whichever Envoy was built with.
        options = ["-O", "ReleaseSafe", "-fstrip", "-target", f"{machine}-linux-gnu", f"-femit-bin={beside}"]
        with tempfile.TemporaryDirectory() as spare:
            cache = str(_cache() or spare)
            places = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            subprocess.run([*command, *options], check=True, env={**os.environ, **places}, timeout=_PATIENCE_S)
        beside.replace(compiled)


def _cache() -> Path | None:
    """Where Zig keeps what it has compiled: the user's cache; None for a user who has none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - works without HOME
    cache = Path(base) / "mixserve" / "zig"
    if not cache.is_absolute():
        return None
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return cache if os.access(cache, os.W_OK) else None
