"""Follows Envoy's access log: a file that grows, and is put aside when it is long."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from mixserve.api.gateway_names import REQUEST_LOG_FILE
from mixserve.gateway.accounting.ledger import Ledger
from mixserve.gateway.accounting.totals import Totals

if TYPE_CHECKING:
    from pathlib import Path

_PUT_ASIDE = f"{REQUEST_LOG_FILE}.1"
_STATE = "totals.json"

LONGEST_BYTES = 64 * 2**20
"""A file of this length is put aside, and deleted when it has been counted: some 100,000 requests."""
# At a time, so that picks need not wait: some 2000 lines, which take 20 ms.
_TURN_BYTES = 2**20


class LogFollower:
    """Counts the lines of the log in a directory, each exactly once, whenever it is asked to go on.

    Args:
        directory: where the log is, and the sums are kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        totals = _recall(directory / _STATE)
        self.ledger = Ledger(totals)
        self._inode, self._offset = totals.inode, totals.offset
        self._kept = (self._inode, self._offset)
        self._keeping = threading.Lock()
        self._file: int | None = None
        self._rest = b""
        self._looked_s: float | None = None

    @property
    def silent_for_s(self) -> float:
        """Seconds since it last looked into the log; 0 before it was asked to."""
        return 0.0 if self._looked_s is None else time.monotonic() - self._looked_s

    def close(self) -> None:
        """Keep the sums, and close the file."""
        self.save()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self) -> bool:
        """Count what has come since, at most about a megabyte of it; return whether there may be more."""
        self._looked_s = time.monotonic()
        if self._file is None and not self._open():
            return False
        assert self._file is not None
        # Asked before reading: once Envoy writes to another file, what is then in this one is all of it.
        is_complete = self._is_complete()
        chunk = os.pread(self._file, _TURN_BYTES, self._offset + len(self._rest))
        if not chunk:
            return is_complete and self._go_on()
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self.ledger.take(lines)
        self._offset += sum(len(line) + 1 for line in lines)
        return len(chunk) == _TURN_BYTES or is_complete

    @property
    def is_long(self) -> bool:
        """Whether the log should be put aside."""
        return self._offset >= LONGEST_BYTES and not (self._directory / _PUT_ASIDE).exists()

    @property
    def awaits_new_file(self) -> bool:
        """Whether the log was put aside, and Envoy has to be told to open a new one."""
        return not (self._directory / REQUEST_LOG_FILE).exists() and (self._directory / _PUT_ASIDE).exists()

    def put_aside(self) -> None:
        """Give the log another name; Envoy has to be told to open a new one, and writes to this one until then."""
        (self._directory / REQUEST_LOG_FILE).rename(self._directory / _PUT_ASIDE)

    def save(self) -> None:
        """Keep the sums and the position: both at once, or neither, also if the node dies.

        A disk may take its time, so this is for another thread, while nothing is read.
        """
        with self._keeping:
            position = (self._inode, self._offset)
            if position == self._kept:
                return
            state = self._directory / _STATE
            written = state.with_suffix(".new")
            with written.open("wb") as file:
                file.write(msgspec.json.encode(self.ledger.totals(inode=position[0], offset=position[1])))
                file.flush()
                # Renamed before its content is on the disk, it might be an empty file after a crash.
                os.fsync(file.fileno())
            written.rename(state)
            self._kept = position

    def _open(self) -> bool:
        """Open the file that was read last; where nothing was, the oldest there is."""
        aside, current = self._directory / _PUT_ASIDE, self._directory / REQUEST_LOG_FILE
        if aside.exists() and self._inode not in {0, aside.stat().st_ino}:
            aside.unlink()  # it was counted; only its end was not seen to
        path = aside if aside.exists() else current
        if not path.exists():
            return False
        self._file, self._rest = os.open(path, os.O_RDONLY), b""
        found = os.fstat(self._file)
        if found.st_ino != self._inode:
            self._inode, self._offset = found.st_ino, 0
        # Envoy does not wait for the disk: what a crash of the node took from the log has been counted.
        self._offset = min(self._offset, found.st_size)
        return True

    def _is_complete(self) -> bool:
        """Whether the file was put aside and Envoy writes to another one."""
        aside, current = self._directory / _PUT_ASIDE, self._directory / REQUEST_LOG_FILE
        return aside.exists() and current.exists() and aside.stat().st_ino == self._inode

    def _go_on(self) -> bool:
        """Take the next file; the one that was put aside is not needed any more."""
        assert self._file is not None
        os.close(self._file)
        self._file, self._rest = None, b""
        self._inode, self._offset = (self._directory / REQUEST_LOG_FILE).stat().st_ino, 0
        self.save()
        (self._directory / _PUT_ASIDE).unlink()
        return True


def _recall(path: Path) -> Totals:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Totals)
    except (OSError, msgspec.MsgspecError):  # the first start, or a state of another version
        return Totals()
