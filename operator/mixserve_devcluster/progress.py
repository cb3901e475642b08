"""One line that says what takes so long, on stderr."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from types import TracebackType

# In a log file a line now and then shows life; one per second would drown what else it says.
_LOG_INTERVAL_S = 15.0


class ProgressLine:
    """What is being done and since when: one line kept up to date on a terminal, else a line every 15 s."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._next_line_s = 0.0

    def __enter__(self) -> Self:
        self.update()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._write("done" if kind is None else "stopped", last=True)

    def update(self, detail: str = "") -> None:
        """Show the time that has gone by, and `detail`; to be called about once a second."""
        if self._terminal or self._elapsed_s >= self._next_line_s:
            self._next_line_s = self._elapsed_s + _LOG_INTERVAL_S
            self._write(detail, last=False)

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def _write(self, detail: str, *, last: bool) -> None:
        text = f"{self._what}: {self._elapsed_s:.0f} s{', ' if detail else ''}{detail}"
        if self._terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            # Carriage return and "erase to the end of the line" (ECMA-48).
            self._stream.write(f"\r{text}\x1b[K" + ("\n" if last else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
