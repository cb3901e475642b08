from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.node.spawner import output_file
from mixserve_devcluster.node.spawner.output_file import OutputFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a file that is long with more than 10 bytes."""
    monkeypatch.setattr(output_file, "_LONGEST_BYTES", 10)
    return tmp_path / "log"


@pytest.fixture
def older(path: Path) -> Path:
    return path.with_name("older")


@pytest.fixture
def file(path: Path, older: Path) -> Iterator[OutputFile]:
    opened = OutputFile(str(path), str(older))
    yield opened
    opened.close()


def test_a_long_file_is_put_aside_and_one_older_is_kept(file: OutputFile, path: Path, older: Path) -> None:
    for number in range(1, 6):
        file.append(f"line {number}\n".encode())
    assert (older.read_text(), path.read_text()) == ("line 4\n", "line 5\n")


def test_a_line_is_not_split(file: OutputFile, path: Path, older: Path) -> None:
    file.append(b"begun")
    file.append(b" and done\nnext\n")
    assert (older.read_text(), path.read_text()) == ("begun and done\n", "next\n")


def test_the_length_counts_what_was_there(path: Path, older: Path) -> None:
    path.write_text("ten bytes\n")
    file = OutputFile(str(path), str(older))
    file.append(b"more\n")
    file.close()
    assert (older.read_text(), path.read_text()) == ("ten bytes\n", "more\n")


def test_without_a_place_for_it_nothing_is_put_aside_and_the_rest_is_dropped(path: Path) -> None:
    file = OutputFile(str(path), None)
    for _ in range(3):
        file.append(b"a line\n")
    file.close()
    assert path.read_text() == "a line\n"


def test_the_log_of_another_process_is_not_put_aside(file: OutputFile, path: Path, older: Path) -> None:
    path.rename(path.with_name("previous"))
    path.write_text("of the next process")
    for _ in range(3):
        file.append(b"a line\n")
    assert path.read_text() == "of the next process"
    assert not older.exists()


def test_what_is_written_in_part_is_written_on(file: OutputFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    file.append(b"in parts")
    assert path.read_text() == "in parts"


def test_a_full_disk_costs_output_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    file = OutputFile("/dev/full", None)
    file.append(b"a")
    file.append(b"b")
    file.close()
    assert capsys.readouterr().err == "output is lost: /dev/full: No space left on device\n"


def test_a_file_that_could_not_be_put_aside_is_when_there_is_room_again(
    file: OutputFile, path: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> int:
        raise OSError(28, "No space left on device")

    file.append(b"ten bytes\n")
    with monkeypatch.context() as full:
        full.setattr(output_file, "_open", refuse)
        file.append(b"lost\n")
    file.append(b"kept\n")
    assert older.read_text().startswith("ten bytes\n")
    assert path.read_text() == "kept\n"
