from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.node.last_words import termination_message
from mixserve_devcluster.node.logs import LogDirectory, LogReader, older, tail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_log_before_is_kept(tmp_path: Path) -> None:
    logs = LogDirectory(tmp_path)
    for text in ("first", "second", "third"):
        logs.start("ns", "p", "c").write_text(text)
    assert logs.file("ns", "p", "c") == tmp_path / "ns_p" / "c.log"
    assert logs.file("ns", "p", "c").read_text() == "third"
    assert logs.file("ns", "p", "c", previous=True).read_text() == "second"


def test_the_older_part_of_the_log_before_is_kept_too(tmp_path: Path) -> None:
    logs = LogDirectory(tmp_path)
    current, before = logs.start("ns", "p", "c"), logs.file("ns", "p", "c", previous=True)
    older(current).write_text("long ago")
    logs.start("ns", "p", "c")
    assert older(before).read_text() == "long ago"
    # It goes with what it is a part of.
    logs.start("ns", "p", "c")
    assert sorted(path.name for path in current.parent.iterdir()) == ["c.log", "c.log.1"]


class GrowingLog:
    """A log that is written, put aside and given up, and who reads it."""

    def __init__(self, directory: Path) -> None:
        self._logs = LogDirectory(directory)
        self._path = self._logs.start("ns", "p", "c")
        self.reader: LogReader = self._logs.open("ns", "p", "c", previous=False)

    def write(self, text: str) -> None:
        with self._path.open("a") as log:
            log.write(text)

    def put_aside(self) -> None:
        self._path.rename(older(self._path))
        self._path.touch()

    def restart(self) -> None:
        self._logs.start("ns", "p", "c")

    def read(self) -> str:
        """What is new since the last call."""
        return b"".join(iter(lambda: self.reader.read(3), b"")).decode()


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[GrowingLog]:
    log = GrowingLog(tmp_path)
    with log.reader:
        yield log


def test_a_log_is_read_on_when_it_is_put_aside(growing: GrowingLog) -> None:
    growing.write("one ")
    assert growing.read() == "one "
    growing.write("two ")
    growing.put_aside()
    growing.write("three ")
    assert growing.read() == "two three "
    growing.write("four")
    assert (growing.read(), growing.read()) == ("four", "")


def test_a_log_is_read_on_while_no_new_part_is_there(growing: GrowingLog, tmp_path: Path) -> None:
    growing.write("one ")
    current = tmp_path / "ns_p" / "c.log"
    current.rename(older(current))
    assert (growing.read(), growing.read()) == ("one ", "")
    growing.write("two")
    assert growing.read() == "two"


def test_a_log_is_read_to_its_end_and_not_into_that_of_the_next_process(growing: GrowingLog) -> None:
    growing.write("one ")
    growing.put_aside()
    growing.write("two")
    growing.restart()
    growing.write("another")
    assert growing.read() == "one two"


def test_who_reads_too_slowly_misses_something_and_goes_on(growing: GrowingLog) -> None:
    growing.write("one ")
    growing.put_aside()
    growing.write("missed ")
    growing.put_aside()
    growing.write("three")
    assert growing.read() == "one three"


@pytest.mark.parametrize(
    ("lines", "size_bytes", "expected"),
    [(2, None, b"b\nc"), (9, None, b"a\nb\nc"), (0, None, b""), (3, 3, b"b\nc"), (1, 9, b"c")],
)
def test_tail(tmp_path: Path, lines: int, size_bytes: int | None, expected: bytes) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a\nb\nc")
    assert tail(file, lines=lines, size_bytes=size_bytes) == expected


def test_tail_of_a_long_log(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * 3_000_000 + b"\nlast\n")
    assert tail(file, lines=1) == b"last\n"


@pytest.mark.parametrize(
    ("written", "policy", "exit_code", "message"),
    [
        ("said", "File", 1, "said"),
        ("", "File", 1, ""),
        ("said", "FallbackToLogsOnError", 1, "said"),
        ("", "FallbackToLogsOnError", 1, "".join(f"{n}\n" for n in range(20, 100))),
        ("", "FallbackToLogsOnError", 0, ""),
        ("x" * 5000, "File", 1, "x" * 4096),
    ],
)
def test_last_words(tmp_path: Path, written: str, policy: str, exit_code: int, message: str) -> None:
    file, log = tmp_path / "message", tmp_path / "log"
    file.write_text(written)
    log.write_text("".join(f"{n}\n" for n in range(100)))
    assert termination_message({"terminationMessagePolicy": policy}, file, log, exit_code) == message


def test_a_long_log_is_cut(tmp_path: Path) -> None:
    file, log = tmp_path / "message", tmp_path / "log"
    file.touch()
    log.write_text("y" * 5000)
    assert termination_message({"terminationMessagePolicy": "FallbackToLogsOnError"}, file, log, 1) == "y" * 2048


def test_no_more_is_read_of_last_words_than_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "message"
    with file.open("wb") as message:
        message.truncate(1 << 40)  # takes no room on the disk, and would take all of the memory
    assert len(termination_message({}, file, tmp_path / "log", 1)) == 4096


def test_last_words_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "message").mkdir()
    message = termination_message({}, tmp_path / "message", tmp_path / "log", 1)
    assert message == f"Error on reading termination log {tmp_path}/message: Is a directory"


def test_a_log_that_cannot_be_read_in_place_of_last_words(tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.touch()
    message = termination_message({"terminationMessagePolicy": "FallbackToLogsOnError"}, file, tmp_path / "none", 1)
    assert message == "Error reading termination message from logs: No such file or directory"
