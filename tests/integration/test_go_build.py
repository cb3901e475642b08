"""What the embedded cluster is built with really builds."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import binaries, go_build
from support.fake_go import tiny_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, but for a Go that has been fetched before and what it has compiled of its own library."""
    monkeypatch.setenv("GOCACHE", str(binaries.cache_directory() / "go-build"))
    directory = tmp_path / "cache"
    directory.mkdir()
    (directory / "go").symlink_to(binaries.cache_directory() / "go")
    return directory


def test_a_program_is_compiled_and_runs(tmp_path: Path, cache: Path) -> None:
    built = go_build.build(tiny_program(tmp_path / "module"), cache)
    assert subprocess.run([built], capture_output=True, text=True, check=True).stderr == "tiny\n"


def test_a_user_without_a_home_directory_can_compile(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "GOPATH", "GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(name, raising=False)
    assert go_build.build(tiny_program(tmp_path / "module"), cache).exists()
    assert (cache / "go-build").is_dir()


def test_the_module_may_be_read_only(tmp_path: Path, cache: Path) -> None:
    program = tiny_program(tmp_path / "module")
    program.module.chmod(0o500)
    before = {path: path.read_bytes() for path in program.module.iterdir()}
    assert go_build.build(program, cache).exists()
    assert {path: path.read_bytes() for path in program.module.iterdir()} == before


def test_a_program_that_does_not_compile_is_an_error_that_says_where(tmp_path: Path, cache: Path) -> None:
    program = tiny_program(tmp_path / "module")
    (program.module / "main.go").write_text("package main\n\nfunc main() {\n\tundefined()\n}\n")
    with pytest.raises(go_build.BuildError, match=r"main\.go:4:2: undefined: undefined"):
        go_build.build(program, cache)
