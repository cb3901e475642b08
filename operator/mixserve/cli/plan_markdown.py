"""The report of `mixserve plan` as Markdown, to be pasted into a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.cli.output import printable
from mixserve.cli.plan_words import columns, costs, differences, ignored, legend, pool_name, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mixserve.cli.plan_report import Report
    from mixserve.validate.violation import Finding

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#"})
"""What a manifest may have in its names and values must not become markup."""


def markdown(report: Report) -> str:
    """Everything, ending with a new line."""
    sections = (_variants(report), _violations(report), _notes(report), _differences(report), _costs(report))
    return "\n".join("".join(f"{line}\n" for line in section) for section in sections if section)


def _variants(report: Report) -> list[str]:
    found = rows(report)
    if not found:
        return []
    heads = columns(report)
    lines = [_line(heads), _line(["---"] * len(heads)), *(_line([_escaped(cell) for cell in row]) for row in found)]
    explained = legend(report)
    return [*lines, *(["", " ".join(explained)] if explained else [])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _violations(report: Report) -> list[str]:
    pools = (line for one in report.pools for line in _items(str(one.what), one.what.place, one.findings.violations))
    refused = (line for one in report.refused for line in _items(str(one.what), one.what.place, one.violations))
    found = [*pools, *refused]
    return ["**Violations**", "", *found] if found else []


def _notes(report: Report) -> list[str]:
    pools = (line for one in report.pools for line in _items(str(one.what), one.what.place, one.findings.notes))
    found = [*pools, *(f"- {_escaped(line)}" for line in ignored(report))]
    return ["**Notes**", "", *found] if found else []


def _items(what: str, place: object, found: Iterable[Finding]) -> Iterator[str]:
    where = _escaped(f"{what} ({place})" if what else str(place))
    for one in found:
        field = f", `{printable(one.field_path.replace('`', ''))}`" if one.field_path else ""
        yield f"- {where}{field}: {_escaped(one.cause)}; {_escaped(one.remedy)}"


def _differences(report: Report) -> list[str]:
    lines = []
    for pool in report.pools:
        sentences = [f"  - {_escaped(sentence)}" for sentence in differences(pool)]
        lines += [f"- {_escaped(pool_name(pool))}:", *sentences] if sentences else []
    return ["**Changes in the cluster**", "", *lines] if lines else []


def _costs(report: Report) -> list[str]:
    lines = []
    for pool in report.pools:
        lines += [f"- {_escaped(pool_name(pool))}:", *(f"  - {_escaped(one)}" for one in costs(pool, report.question))]
    return ["**Costs** (predicted)", "", *lines] if lines else []


def _escaped(text: str) -> str:
    return printable(" ".join(text.split())).translate(_SPECIAL)
