"""The log is read again and again, and kept short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from mixserve.gateway.accounting import bookkeeping, following
from mixserve.gateway.accounting.bookkeeping import keep_books
from mixserve.gateway.accounting.following import LogFollower
from mixserve.gateway.envoy_admin import EnvoyAdminError
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from pathlib import Path


class Envoy:
    """Opens a new log when it is told, unless it is deaf."""

    def __init__(self, directory: Path, *, deaf_for: int = 0) -> None:
        self.directory = directory
        self.told = 0
        self.deaf_for = deaf_for

    async def reopen_logs(self) -> None:
        self.told += 1
        if self.told <= self.deaf_for:
            raise EnvoyAdminError("not there")
        (self.directory / "requests.log").write_text('{"status": 200}\n')


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "_LOOK_S", 0.001)
    monkeypatch.setattr(bookkeeping, "_SAVE_S", 0.0)
    monkeypatch.setattr(following, "LONGEST_BYTES", 100)


def counted(follower: LogFollower) -> int:
    return sum(count for _, sums in follower.ledger.sums() for count in sums.codes.values())


async def test_a_long_log_is_put_aside_and_its_end_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "requests.log").write_text('{"status": 200}\n' * 10)
    follower, envoy = LogFollower(tmp_path), Envoy(tmp_path)
    stand_in: Any = envoy
    async with running(keep_books(follower, stand_in)):
        await until(lambda: counted(follower) == 11)
        await until(lambda: not (tmp_path / "requests.log.1").exists())
    assert envoy.told == 1
    assert counted(LogFollower(tmp_path)) == 11


async def test_an_envoy_that_does_not_hear_is_told_again(tmp_path: Path) -> None:
    (tmp_path / "requests.log").write_text('{"status": 200}\n' * 10)
    follower, envoy = LogFollower(tmp_path), Envoy(tmp_path, deaf_for=2)
    stand_in: Any = envoy
    with capture_logs() as logs:
        async with running(keep_books(follower, stand_in)):
            await until(lambda: counted(follower) == 11)
    assert envoy.told == 3
    assert [entry["event"] for entry in logs] == ["log_not_reopened"] * 2
