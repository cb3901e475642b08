"""A `go` that compiles nothing, so that what surrounds it can be tested without one and without network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve_devcluster.go_build import GoProgram

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """\
#!/bin/sh
if [ "$1" = version ]; then echo "go version go{version} linux/amd64"; exit; fi
echo "$@" >> "{calls}"
if [ -e "{held}" ]; then sleep 600 & echo $! > "{child}.new"; mv "{child}.new" "{child}"; fi
while [ -e "{held}" ]; do sleep 0.05; done
if [ -e "{child}" ]; then kill $(cat "{child}"); rm "{child}"; fi
while [ "$1" != -o ]; do shift; done
if [ -e "{broken}" ]; then seq 1 30 | sed 's/^/compile error /' >&2; exit 1; fi
echo "#!/bin/sh" > "$2"
chmod +x "$2"
"""


@dataclass(frozen=True)
class FakeGo:
    """A directory for PATH, whose `go` can be held up or broken."""

    directory: Path
    version: str = "1.26.8"

    def install(self) -> FakeGo:
        self.directory.mkdir()
        files = {"calls": self._calls, "held": self._held, "child": self._child, "broken": self._broken}
        script = _SCRIPT.format(version=self.version, **files)
        (self.directory / "go").write_text(script)
        (self.directory / "go").chmod(0o755)
        return self

    @property
    def builds(self) -> list[str]:
        """The command lines of all builds so far."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    @property
    def child(self) -> int | None:
        """What a build that is held up has started, as Go starts compilers."""
        return int(self._child.read_text()) if self._child.exists() else None

    def hold(self) -> None:
        self._held.touch()

    def let_go(self) -> None:
        self._held.unlink()

    def break_it(self) -> None:
        self._broken.touch()

    @property
    def _calls(self) -> Path:
        return self.directory / "calls"

    @property
    def _held(self) -> Path:
        return self.directory / "held"

    @property
    def _child(self) -> Path:
        return self.directory / "child"

    @property
    def _broken(self) -> Path:
        return self.directory / "broken"


def tiny_program(module: Path) -> GoProgram:
    """A program of one file that needs nothing from anywhere."""
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text("module example.com/tiny\n\ngo 1.26\n")
    (module / "main.go").write_text("package main\n\nfunc main() {\n\tprintln(`tiny`)\n}\n")
    return GoProgram(name="tiny", module=module, package=".")
