"""Each line of the log counts exactly once, whatever happens to this process and to the file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from mixserve.gateway.accounting import following
from mixserve.gateway.accounting.following import LogFollower

if TYPE_CHECKING:
    from pathlib import Path


def write(directory: Path, count: int, *, name: str = "requests.log", end: str = "\n") -> None:
    line = json.dumps({"status": 200, "pool": "chat"})
    with (directory / name).open("a") as file:
        file.write("\n".join([line] * count) + end)


def write_text(directory: Path, text: str) -> None:
    with (directory / "requests.log").open("a") as file:
        file.write(text)


def counted(follower: LogFollower) -> int:
    while follower.read():
        pass
    return sum(count for _, sums in follower.ledger.sums() for count in sums.codes.values())


def test_there_is_nothing_before_envoy_has_started(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path)
    assert counted(follower) == 0
    write(tmp_path, 3)
    assert counted(follower) == 3
    write(tmp_path, 2)
    assert counted(follower) == 5


def test_it_is_told_how_long_ago_the_log_was_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    follower = LogFollower(tmp_path)
    assert follower.silent_for_s == 0.0
    follower.read()
    monkeypatch.setattr("time.monotonic", lambda: 107.0)
    assert follower.silent_for_s == 7.0


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write_text(tmp_path, '{"status": 200')
    follower = LogFollower(tmp_path)
    assert counted(follower) == 1
    write_text(tmp_path, "}\n")
    assert counted(follower) == 2
    assert follower.ledger.unreadable == 0


def test_what_is_no_record_is_counted_as_such(tmp_path: Path) -> None:
    (tmp_path / "requests.log").write_text('nonsense\n{"status": "high"}\n')
    follower = LogFollower(tmp_path)
    assert counted(follower) == 0
    assert follower.ledger.unreadable == 2


def test_a_restart_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    write(tmp_path, 3)
    first = LogFollower(tmp_path)
    assert counted(first) == 3
    first.close()
    write(tmp_path, 2)
    assert counted(LogFollower(tmp_path)) == 5


def test_a_kill_before_the_sums_were_kept_reads_the_same_lines_again(tmp_path: Path) -> None:
    write(tmp_path, 3)
    first = LogFollower(tmp_path)
    counted(first)
    first.save()
    write(tmp_path, 2)
    assert counted(first) == 5  # and it is killed
    assert counted(LogFollower(tmp_path)) == 5


def test_sums_are_on_the_disk_before_they_replace_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, synced = tmp_path / "totals.json", []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_ino, state.exists())))
    write(tmp_path, 3)
    follower = LogFollower(tmp_path)
    counted(follower)
    follower.save()
    assert synced == [(state.stat().st_ino, False)]
    follower.save()
    assert len(synced) == 1  # there was nothing new


def test_a_crash_of_the_node_that_shortens_the_log_loses_no_later_lines(tmp_path: Path) -> None:
    write(tmp_path, 3)
    first = LogFollower(tmp_path)
    counted(first)
    first.close()
    log = tmp_path / "requests.log"
    os.truncate(log, log.stat().st_size // 3)
    second = LogFollower(tmp_path)
    assert counted(second) == 3
    write(tmp_path, 1)
    assert counted(second) == 4


def test_a_log_that_is_put_aside_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LONGEST_BYTES", 90)
    write(tmp_path, 3)
    follower = LogFollower(tmp_path)
    assert not follower.is_long
    assert counted(follower) == 3
    assert follower.is_long
    follower.put_aside()
    assert not follower.is_long
    write(tmp_path, 1, name="requests.log.1")  # Envoy has not heard of it yet
    assert counted(follower) == 4
    write(tmp_path, 2)
    assert counted(follower) == 6
    assert not (tmp_path / "requests.log.1").exists()
    write(tmp_path, 2)
    assert counted(follower) == 8


@pytest.mark.parametrize("died_after", ["put aside", "new file", "state kept"])
def test_a_kill_while_the_log_is_put_aside_loses_nothing(tmp_path: Path, died_after: str) -> None:
    write(tmp_path, 3)
    first = LogFollower(tmp_path)
    counted(first)
    first.save()
    first.put_aside()
    write(tmp_path, 1, name="requests.log.1")
    total = 4
    if died_after != "put aside":
        write(tmp_path, 2)
        total = 6
    if died_after == "state kept":
        aside = (tmp_path / "requests.log.1").read_bytes()
        assert counted(first) == total
        # What was counted is still there: the process ended before it could delete it.
        (tmp_path / "requests.log.1").write_bytes(aside)
    second = LogFollower(tmp_path)
    assert counted(second) == total
    if died_after == "state kept":
        assert not (tmp_path / "requests.log.1").exists()


def test_a_state_of_another_version_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, 3)
    (tmp_path / "totals.json").write_text('{"inode": "x"}')
    assert counted(LogFollower(tmp_path)) == 3
