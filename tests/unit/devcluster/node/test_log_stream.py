from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from mixserve_devcluster.node.log_stream import LogStream

if TYPE_CHECKING:
    import pytest


def test_what_a_full_disk_does_not_take_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:
        monkeypatch.setattr(sys, "stderr", full)
        print("a line", file=LogStream(), flush=True)


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print("a line", file=LogStream(), flush=True)
    assert capsys.readouterr().err == "a line\n"
