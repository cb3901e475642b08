"""A module that Envoy loads: compiled from the Zig files beside this, when the package is built or installed.

Belongs here: what has to run within Envoy, on each request and each piece of an answer. What is decided does not,
nor how Envoy is configured.
"""

from __future__ import annotations

import platform
from pathlib import Path

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other names of what the module is compiled for."""


class ModuleMissingError(Exception):
    """There is no module for this machine."""


def module_path() -> Path:
    """Where the module for this machine lies.

    Raises:
        ModuleMissingError: it is compiled for Linux on x86-64 and ARM64 only.
    """
    machine = platform.machine().lower()
    path = Path(__file__).parent / f"libmixserve.{_MACHINES.get(machine, machine)}.so"
    if not path.exists():
        raise ModuleMissingError(f"there is no {path}: the module has not been compiled, or not for {machine}")
    return path
