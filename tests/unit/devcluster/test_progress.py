from __future__ import annotations

import io

import pytest

from mixserve_devcluster.progress import ProgressLine


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def build(clock: Clock, stream: io.StringIO, seconds: int) -> str:
    with ProgressLine("building etcd", stream) as progress:
        for second in range(seconds):
            clock.now_s = 101.0 + second
            progress.update(f"package {second}")
    return stream.getvalue()


def test_a_log_gets_a_line_now_and_then(clock: Clock) -> None:
    assert build(clock, io.StringIO(), 31).splitlines() == [
        "building etcd: 0 s",
        "building etcd: 15 s, package 14",
        "building etcd: 30 s, package 29",
        "building etcd: 31 s, done",
    ]


def test_a_terminal_gets_one_line_that_is_kept_up_to_date(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    written = build(clock, Terminal(), 2)
    assert written == (
        "\rbuilding etcd: 0 s\x1b[K"
        "\rbuilding etcd: 1 s, package 0\x1b[K"
        "\rbuilding etcd: 2 s, package 1\x1b[K"
        "\rbuilding etcd: 2 s, done\x1b[K\n"
    )


def test_a_line_never_wraps_on_a_narrow_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    lines = build(clock, Terminal(), 2).split("\x1b[K")
    assert max(len(line.strip()) for line in lines) == 19


def test_what_fails_is_not_done(clock: Clock) -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), ProgressLine("dividing", stream):
        raise ZeroDivisionError
    assert stream.getvalue().endswith("dividing: 0 s, stopped\n")
