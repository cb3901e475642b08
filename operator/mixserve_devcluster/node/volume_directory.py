"""Writes the files of a volume so that a reader sees either all old or all new ones, as a kubelet does.

The files lie in a directory of their own, `..data` points to it, and links at the top point through `..data`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.node.volumes import VolumeFile

_DATA = "..data"


def write_volume(directory: Path, files: Mapping[str, VolumeFile]) -> None:
    """Make `directory` show exactly `files`; nothing is touched if it does already."""
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / _DATA
    if data.is_symlink() and _is_as_wanted(data, files):
        return
    fresh = _write_files(directory, files)
    old = data.resolve() if data.is_symlink() else None
    link = directory / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(data)
    _link_top(directory, {PurePosixPath(path).parts[0] for path in files})
    if old is not None:
        shutil.rmtree(old)


def _is_as_wanted(data: Path, files: Mapping[str, VolumeFile]) -> bool:
    root = data.resolve()
    present = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return present.keys() == files.keys() and all(
        present[name].read_bytes() == file.content and present[name].stat().st_mode & 0o777 == file.mode
        for name, file in files.items()
    )


def _write_files(directory: Path, files: Mapping[str, VolumeFile]) -> Path:
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    fresh.chmod(0o755)
    for path, file in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    return fresh


def _link_top(directory: Path, names: set[str]) -> None:
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"{_DATA}/{name}")
