"""`make` up to where the environment is installed, with a Python and a uv that only look like it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")

MAKEFILE = Path(__file__).parents[3] / "Makefile"

# Answers the question for its version, and installs a uv as pip does with --target.
PYTHON = """\
#!/bin/sh
if [ "$1" = -c ]; then exit "${TOO_OLD:-0}"; fi
if [ "$3" = --version ]; then exit; fi
while [ "$1" != --target ]; do shift; done
echo "$2" >> targets
mkdir -p "$2/bin"
if [ -n "$KILLED" ]; then touch "$2/bin/uv"; chmod +x "$2/bin/uv"; kill -9 $PPID; exit; fi
cat > "$2/bin/uv" <<'END'
#!/bin/sh
echo "$@" >> uv-calls
if [ "$1" = venv ]; then mkdir -p .venv/bin && ln -sf /bin/true .venv/bin/python; fi
END
chmod +x "$2/bin/uv"
"""


@dataclass(frozen=True)
class Checkout:
    """A checkout that has a Makefile and nothing to install."""

    directory: Path

    @property
    def cache(self) -> Path:
        return self.directory / "my cache" / "mixserve"

    @property
    def uv(self) -> Path:
        [kept] = self.cache.glob("uv-*")
        return kept / "bin" / "uv"

    @property
    def uv_calls(self) -> list[str]:
        return (self.directory / "uv-calls").read_text().splitlines()

    def make(self, target: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        own = {"XDG_CACHE_HOME": str(self.cache.parent), "PYTHON": str(self.directory / "python")}
        path = {"PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            ["make", "-f", MAKEFILE, target],
            cwd=self.directory,
            env={**own, **path, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name in ("pyproject.toml", "requirements.lock", "hatch_build.py"):
        (tmp_path / name).touch()
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return Checkout(tmp_path)


def test_the_cache_may_have_blanks_in_its_path(checkout: Checkout) -> None:
    done = checkout.make(".venv/.installed")
    assert done.returncode == 0, done.stderr
    assert (checkout.directory / ".venv" / ".installed").exists()
    assert [call.split()[0] for call in checkout.uv_calls] == ["venv", "pip", "pip"]
    assert os.access(checkout.uv, os.X_OK)


def test_what_is_there_is_not_installed_again(checkout: Checkout) -> None:
    checkout.make(".venv/.installed")
    before = checkout.uv_calls
    done = checkout.make(".venv/.installed")
    assert (done.returncode, checkout.uv_calls) == (0, before)
    assert len((checkout.directory / "targets").read_text().splitlines()) == 1


def test_uv_is_installed_beside_its_place_and_nothing_is_left_there(checkout: Checkout) -> None:
    checkout.make(".venv/.installed")
    [target] = (checkout.directory / "targets").read_text().splitlines()
    # One file system, so that a rename puts it there as a whole.
    assert Path(target).is_relative_to(checkout.cache)
    assert list(checkout.cache.iterdir()) == [checkout.uv.parents[1]]


def test_an_interrupted_installation_of_uv_does_not_look_done(checkout: Checkout) -> None:
    assert checkout.make(".venv/.installed", {"KILLED": "yes"}).returncode != 0
    assert list(checkout.cache.glob("uv-*")) == []
    done = checkout.make(".venv/.installed")
    assert done.returncode == 0, done.stderr
    assert checkout.uv.read_text().startswith("#!/bin/sh")


def test_half_a_uv_is_replaced(checkout: Checkout) -> None:
    checkout.make(".venv/.installed")
    checkout.uv.unlink()
    shutil.rmtree(checkout.directory / ".venv")
    assert checkout.make(".venv/.installed").returncode == 0
    assert os.access(checkout.uv, os.X_OK)


def test_the_python_of_the_environment_is_looked_at_when_uv_is_there_already(checkout: Checkout) -> None:
    checkout.make(".venv/.installed")
    shutil.rmtree(checkout.directory / ".venv")
    refused = checkout.make(".venv/.installed", {"TOO_OLD": "1"})
    assert refused.returncode != 0
    assert "Python 3.11 or newer is needed; name it with make PYTHON=" in refused.stderr
    assert not (checkout.directory / ".venv").exists()


def test_without_any_python_that_is_said(checkout: Checkout) -> None:
    refused = checkout.make(".venv/.installed", {"PYTHON": "no-such-python"})
    assert refused.returncode != 0
    assert "Python 3.11 or newer is needed" in refused.stderr
    assert not checkout.cache.exists()


def test_elsewhere_than_on_linux_the_demo_installs_nothing(checkout: Checkout) -> None:
    (checkout.directory / "bin").mkdir()
    (checkout.directory / "bin" / "uname").write_text("#!/bin/sh\necho Darwin\n")
    (checkout.directory / "bin" / "uname").chmod(0o755)
    refused = checkout.make("demo")
    assert refused.returncode != 0
    assert refused.stderr.startswith("The embedded cluster needs Linux, this is Darwin. Here Mixserve runs on kind")
    assert "`make image` builds: docs/install.md" in refused.stderr
    assert not (checkout.directory / ".venv").exists()
    assert not checkout.cache.exists()
