"""The report of `mixserve plan` for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.cli.output import printable
from mixserve.cli.plan_words import FITS, columns, costs, differences, ignored, legend, pool_name, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mixserve.cli.plan_report import Report
    from mixserve.validate.violation import Finding

    Paint = Callable[[str], str]
    """Colours a cell of the column FITS, after it was padded."""


def table(report: Report, paint: Paint) -> str:
    """Everything, ending with a new line."""
    told = (_violations(report), _notes(report), _differences(report), _costs(report))
    sections = (_variants(report, paint), *([printable(line) for line in section] for section in told))
    return "\n".join("".join(f"{line}\n" for line in section) for section in sections if section)


def _variants(report: Report, paint: Paint) -> list[str]:
    found = rows(report)
    if not found:
        return []
    explained = legend(report)
    return [*_aligned([columns(report), *found], paint), *(["", *explained] if explained else [])]


def _aligned(lines: Sequence[Sequence[str]], paint: Paint) -> Iterator[str]:
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        cells[FITS] = paint(cells[FITS])
        yield "  ".join(cells).rstrip()


def _violations(report: Report) -> list[str]:
    pools = (line for one in report.pools for line in _section(str(one.what), one.what.place, one.findings.violations))
    refused = (line for one in report.refused for line in _section(str(one.what), one.what.place, one.violations))
    found = [*pools, *refused]
    return ["Violations", *found] if found else []


def _notes(report: Report) -> list[str]:
    pools = (line for one in report.pools for line in _section(str(one.what), one.what.place, one.findings.notes))
    found = [*pools, *(f"  {line}" for line in ignored(report))]
    return ["Notes", *found] if found else []


def _section(what: str, place: object, found: Iterable[Finding]) -> Iterator[str]:
    messages = [one.message if one.field_path else f"{one.cause}; {one.remedy}" for one in found]
    if messages:
        yield f"  {what} ({place})" if what else f"  {place}"
        yield from (f"    {message}" for message in messages)


def _differences(report: Report) -> list[str]:
    lines = []
    for pool in report.pools:
        sentences = [f"    {sentence}" for sentence in differences(pool)]
        lines += [f"  {pool_name(pool)}", *sentences] if sentences else []
    return ["Changes in the cluster", *lines] if lines else []


def _costs(report: Report) -> list[str]:
    lines = []
    for pool in report.pools:
        lines += [f"  {pool_name(pool)}", *(f"    {sentence}" for sentence in costs(pool, report.question))]
    return ["Costs (predicted)", *lines] if lines else []
