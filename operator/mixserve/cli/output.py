"""What commands share: the two forms of an answer, and errors without a traceback."""

from __future__ import annotations

import contextlib
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Output(StrEnum):
    """How a command prints what it was asked for."""

    TABLE = "table"
    JSON = "json"


def print_json(value: Any) -> None:
    """Print a value, indented, to stdout."""
    typer.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns as kubectl does: plain text, two spaces apart, never cut."""
    lines = [columns, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """A line without characters that would make a terminal do something: those are shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def note(text: str) -> None:
    """Tell the person at the terminal what is not the answer itself: to stderr."""
    typer.echo(text, err=True)


@contextlib.contextmanager
def exit_on(*expected: type[Exception]) -> Iterator[None]:
    """End the command with exit code 1 and a message on stderr on an error of these types."""
    try:
        yield
    except expected as error:
        label = typer.style("error:", fg="red") if sys.stderr.isatty() else "error:"
        note(f"{label} {error}")
        raise typer.Exit(1) from error
