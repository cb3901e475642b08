from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve_devcluster.node.volume_directory import write_volume
from mixserve_devcluster.node.volumes import VolumeFile

if TYPE_CHECKING:
    from pathlib import Path


def files(**contents: str) -> dict[str, VolumeFile]:
    return {name.replace("_", "/"): VolumeFile(content=text.encode(), mode=0o640) for name, text in contents.items()}


def test_files_appear_with_their_modes(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    write_volume(volume, files(a="1", deep_b="2"))
    assert (volume / "a").read_text() == "1"
    assert (volume / "deep/b").read_text() == "2"
    assert (volume / "a").stat().st_mode & 0o777 == 0o640


def test_a_change_shows_through_files_that_are_known_by_path(tmp_path: Path) -> None:
    write_volume(tmp_path, files(a="1", gone="x", deep_b="2"))
    write_volume(tmp_path, files(a="new", deep_c="3", more="y"))
    assert (tmp_path / "a").read_text() == "new"
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith("..")}
    assert names == {"a", "deep", "more"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c"]
    # The old files are gone: ..data and what it points to are all that is hidden.
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("..")]) == 2


def test_nothing_is_touched_when_nothing_has_changed(tmp_path: Path) -> None:
    write_volume(tmp_path, files(a="1", deep_b="2"))
    before = (tmp_path / "..data").readlink()
    write_volume(tmp_path, files(a="1", deep_b="2"))
    assert (tmp_path / "..data").readlink() == before
    changed_mode = {**files(a="1", deep_b="2"), "a": VolumeFile(content=b"1", mode=0o600)}
    write_volume(tmp_path, changed_mode)
    assert (tmp_path / "..data").readlink() != before
