from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.node.host_volumes import host_path
from mixserve_devcluster.node.sources import UnresolvedError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["", "Directory", "DirectoryOrCreate"])
def test_a_directory(tmp_path: Path, kind: str) -> None:
    assert host_path({"path": str(tmp_path), "type": kind}) == tmp_path


def test_what_is_made(tmp_path: Path) -> None:
    assert host_path({"path": str(tmp_path / "a/b"), "type": "DirectoryOrCreate"}).is_dir()
    assert host_path({"path": str(tmp_path / "f"), "type": "FileOrCreate"}).is_file()


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("none", "", "none does not exist"),
        ("none", "Directory", "none does not exist"),
        ("file", "Directory", "file is not a directory"),
        ("dir", "File", "dir is not a file"),
        ("dir", "FileOrCreate", "dir is not a file"),
    ],
)
def test_what_is_wrong(tmp_path: Path, name: str, kind: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    with pytest.raises(UnresolvedError, match=message):
        host_path({"path": str(tmp_path / name), "type": kind})
