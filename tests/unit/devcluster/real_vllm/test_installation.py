from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.errors import InstallError
from mixserve_devcluster.real_vllm import installation

if TYPE_CHECKING:
    from pathlib import Path

# Makes what uv makes, as far as anything here looks at it, and writes down how it was called.
_UV = """#!/bin/sh
echo "$*" >> "$UV_CALLS"
if [ "$1" = venv ]; then
    mkdir -p "$4/bin" "$4/lib/python3.11/site-packages" && touch "$4/bin/python"
elif [ -e "$UV_BROKEN" ]; then
    echo "no network"; exit 2
fi
"""


class FakeUv:
    def __init__(self, directory: Path) -> None:
        self.program = directory / "uv"
        self.broken = directory / "broken"
        self._calls = directory / "calls"
        directory.mkdir()
        self.program.write_text(_UV)
        self.program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.program.parent}:/usr/bin:/bin",
            "UV_CALLS": str(self._calls),
            "UV_BROKEN": str(self.broken),
        }

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture
def uv(tmp_path: Path, user_directories: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    fake = FakeUv(tmp_path / "fake-uv")
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    return fake


def test_installs_what_the_lock_file_names_and_only_once(uv: FakeUv) -> None:
    first = installation.install()
    again = installation.install()

    assert first == again == installation.find()
    assert [call.split()[:2] for call in uv.calls] == [["venv", "--python"], ["pip", "sync"]]
    assert "--require-hashes" in uv.calls[1]
    assert uv.calls[1].endswith(str(installation.LOCK))


def test_vllm_finds_itself_by_the_name_of_its_gpu_build(uv: FakeUv) -> None:
    [metadata] = installation.install().directory.glob("lib/python3.11/site-packages/*.dist-info/METADATA")

    assert metadata.parent.name == "vllm-0.32.0+cpu.dist-info"
    assert "Name: vllm\nVersion: 0.32.0+cpu\n" in metadata.read_text()


def test_a_failed_installation_says_why_and_is_not_taken_for_a_whole_one(uv: FakeUv) -> None:
    uv.broken.touch()
    with pytest.raises(InstallError, match="no network"):
        installation.install()
    with pytest.raises(InstallError, match="is not installed"):
        installation.find()


def test_what_an_interrupted_installation_has_left_is_made_anew(uv: FakeUv) -> None:
    uv.broken.touch()
    with pytest.raises(InstallError):
        installation.install()
    [half] = installation.cache_directory().glob("vllm-*/")
    (half / "leftover").touch()
    uv.broken.unlink()

    assert installation.install().directory == half
    assert not (half / "leftover").exists()


def test_an_environment_whose_interpreter_is_gone_is_made_anew(uv: FakeUv) -> None:
    python = installation.install().python
    python.unlink()
    python.symlink_to("/nowhere/python3")

    assert installation.install().python.exists()


def test_takes_the_uv_that_make_keeps_in_the_cache(uv: FakeUv, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = installation.cache_directory() / "uv-1.2.3" / "bin" / "uv"
    kept.parent.mkdir(parents=True)
    uv.program.rename(kept)

    installation.install()

    assert len(uv.calls) == 2


def test_without_uv_takes_pip_with_the_same_lock(
    user_directories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    venv, pip = installation._commands(installation.Installation(tmp_path / "vllm"))

    assert venv[1:] == ["-m", "venv", str(tmp_path / "vllm")]
    assert pip[:4] == [str(tmp_path / "vllm" / "bin" / "python"), "-m", "pip", "install"]
    assert {"--require-hashes", "--no-deps", str(installation.LOCK)} <= set(pip)


def test_the_lock_pins_the_version_and_names_no_host() -> None:
    lock = installation.LOCK.read_text()

    assert f"\nvllm-cpu=={installation.VERSION} \\\n    --hash=sha256:" in lock
    assert "://" not in lock
