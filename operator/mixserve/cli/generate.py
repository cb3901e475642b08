"""`mixserve dev generate`: the files that follow from the models and the catalogue."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixserve.cli.output import exit_on, note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OWNED_FOLDERS = ("crds", "charts/mixserve/crds", "charts/mixserve/catalog", "docs/reference")
"""Whatever else lies in these is left over from an earlier generation."""


class NoCheckoutError(Exception):
    """The package is not installed from a checkout, so there is nowhere to write to."""


def generate(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a file is not as generated.")
    ] = False,
) -> None:
    """Write CRDs, the chart's copies of them and of the catalogue, and the reference pages."""
    from mixserve.cli.generated import generated_files

    with exit_on(NoCheckoutError):
        root = checkout()
        files = generated_files()
        if not check:
            write(root, files)
            return
    difference = "".join(differences(root, files))
    if difference:
        typer.echo(difference, nl=False)
        note("generated files are not as generated; run: make generate")
        raise typer.Exit(1)


def checkout() -> Path:
    """The root of the checkout that this package runs from.

    Raises:
        NoCheckoutError: there is none.
    """
    root = Path(__file__).parents[3]
    if not (root / "pyproject.toml").is_file() or not (root / "operator" / "mixserve").is_dir():
        raise NoCheckoutError(f"{root} is not a checkout of Mixserve; install it from one with `make`")
    return root


def write(root: Path, files: Mapping[str, str]) -> None:
    """Make the checkout as generated; say what changed."""
    for path, text in files.items():
        target = root / path
        if not target.is_file() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            note(f"wrote {path}")
    for path in _left_over(root, files):
        (root / path).unlink()
        note(f"removed {path}")


def differences(root: Path, files: Mapping[str, str]) -> Iterator[str]:
    """Lines of a unified diff from the checkout to what would be generated."""
    for path, text in files.items():
        target = root / path
        present = target.read_text() if target.is_file() else ""
        yield from difflib.unified_diff(present.splitlines(True), text.splitlines(True), path, f"{path} (generated)")
    for path in _left_over(root, files):
        yield f"{path} is left over and would be removed\n"


def _left_over(root: Path, files: Mapping[str, str]) -> list[str]:
    present = (path for folder in _OWNED_FOLDERS for path in (root / folder).rglob("*") if path.is_file())
    return sorted({path.relative_to(root).as_posix() for path in present} - files.keys())
