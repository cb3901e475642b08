from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from mixserve.cli import manifest_files as module
from mixserve.cli.manifest_files import ManifestFile, UnreadableError, manifest_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.yaml", "a/z.yml", "a/c.json", "a/readme.md", ".git/x.yaml", "a/.hidden.yaml"):
        path = tmp_path / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*paths: str) -> list[str]:
    return [file.name for file in manifest_files(list(paths))]


def test_a_directory_is_all_that_is_below_it_but_what_is_hidden(folder: Path) -> None:
    assert names("m") == ["m/a/c.json", "m/a/z.yml", "m/b.yaml"]


def test_a_named_file_may_be_called_anything(folder: Path) -> None:
    assert manifest_files(["m/a/readme.md"]) == [ManifestFile("m/a/readme.md", b"a/readme.md")]


def test_a_file_that_is_named_twice_is_read_once(folder: Path) -> None:
    assert names("m/b.yaml", "m", str(folder / "m" / "b.yaml")) == [
        str(folder / "m" / "b.yaml"),
        "m/a/c.json",
        "m/a/z.yml",
    ]


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    assert manifest_files(["-"]) == [ManifestFile("-", b"a: 1")]


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a: 1")
    os.close(writer)
    assert manifest_files([f"/dev/fd/{reader}"])[0].content == b"a: 1"
    os.close(reader)


def test_a_file_that_is_too_long_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 5)
    assert manifest_files(["m/b.yaml"]) == [ManifestFile("m/b.yaml", None)]


@pytest.mark.parametrize(
    ("path", "words"),
    [("none.yaml", "none.yaml: No such file"), ("m/b.yaml/c", "Not a directory")],
)
def test_what_can_not_be_opened_says_why(folder: Path, path: str, words: str) -> None:
    with pytest.raises(UnreadableError, match=words):
        manifest_files([path])
