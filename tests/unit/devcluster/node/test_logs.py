from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.node.last_words import termination_message
from mixserve_devcluster.node.logs import LogDirectory, tail

if TYPE_CHECKING:
    from pathlib import Path


def test_the_log_before_is_kept(tmp_path: Path) -> None:
    logs = LogDirectory(tmp_path)
    for text in ("first", "second", "third"):
        logs.start("ns", "p", "c").write_text(text)
    assert logs.file("ns", "p", "c") == tmp_path / "ns_p" / "c.log"
    assert logs.file("ns", "p", "c").read_text() == "third"
    assert logs.file("ns", "p", "c", previous=True).read_text() == "second"


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
