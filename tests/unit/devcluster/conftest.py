from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fake_go import FakeGo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    """The only `go` there is."""
    go = FakeGo(tmp_path / "fake-go").install()
    monkeypatch.setenv("PATH", f"{go.directory}:/usr/bin:/bin")
    return go


@pytest.fixture
def user_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without caches, clusters or binaries of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path
