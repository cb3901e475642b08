"""Checks of what a variant names: does it exist, and does the engine run it on that GPU?"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mixserve.api.quantization import QuantizationEngine
    from mixserve.validate.subject import Subject


def unknown_quantization(subject: Subject) -> Iterator[Violation]:
    """The format is not in the catalogue."""
    name, known = subject.variant.quantization, subject.catalog.formats
    if name not in known:
        yield Violation(
            Reason.UNKNOWN_QUANTIZATION,
            f"{subject.path}.quantization",
            f"there is no QuantizationFormat {name}",
            _choose(name, known, kind="QuantizationFormat"),
        )


def unknown_accelerator(subject: Subject) -> Iterator[Violation]:
    """The GPU is not in the catalogue."""
    name, known = subject.variant.accelerator, subject.catalog.accelerators
    if name not in known:
        yield Violation(
            Reason.UNKNOWN_ACCELERATOR,
            f"{subject.path}.accelerator",
            f"there is no AcceleratorClass {name}",
            _choose(name, known, kind="AcceleratorClass"),
        )


def unsupported_by_engine(subject: Subject) -> Iterator[Violation]:
    """The engine does not run the format at all."""
    name, engine = subject.variant.quantization, subject.pool.spec.engine.type
    if name in subject.catalog.formats and subject.row(name) is None:
        runs = [known for known in sorted(subject.catalog.formats) if subject.row(known) is not None]
        yield Violation(
            Reason.UNSUPPORTED_QUANTIZATION,
            f"{subject.path}.quantization",
            f"{engine} does not run {name}",
            f"choose one that it runs: {', '.join(runs)}"
            if runs
            else f"apply a QuantizationFormat that {engine} runs, as none in the catalogue is one",
        )


def unsupported_by_accelerator(subject: Subject) -> Iterator[Violation]:
    """The GPU is older than what the format needs."""
    variant, placement = subject.variant, subject.own_placement
    if placement is None:
        return
    needed, found = placement.row.minimum_compute_capability, placement.accelerator.compute_capability
    if placement.row.runs_on(found):
        return
    yield Violation(
        Reason.UNSUPPORTED_QUANTIZATION,
        f"{subject.path}.quantization",
        f"{variant.quantization} needs compute capability {needed} with {subject.pool.spec.engine.type}, "
        f"and {variant.accelerator} has {found}",
        f"choose a quantization that {variant.accelerator} runs ({_listed(_formats_for(subject, found))}), "
        f"or an accelerator that runs {variant.quantization} ({_listed(_accelerators_for(subject, placement.row))})",
    )


def owned_by_format(subject: Subject) -> Iterator[Violation]:
    """The format's own arguments go onto the command line as well, after those of the operator."""
    name, adapter = subject.variant.quantization, adapter_for(subject.pool.spec.engine.type)
    row = subject.row(name)
    for argument in () if row is None else row.arguments:
        flag = argument.partition("=")[0]
        if flag not in adapter.format_flags and adapter.owner_of(argument) is not None:
            yield Violation(
                Reason.OWNED_FLAG,
                f"{subject.path}.quantization",
                f"the QuantizationFormat {name} has the argument {flag}, which is not a format's to give",
                "take it out of that QuantizationFormat, or choose another quantization",
            )


def _formats_for(subject: Subject, compute_capability: str) -> list[str]:
    rows = {name: subject.row(name) for name in sorted(subject.catalog.formats)}
    return [name for name, row in rows.items() if row is not None and row.runs_on(compute_capability)]


def _accelerators_for(subject: Subject, row: QuantizationEngine) -> list[str]:
    return [
        name
        for name, entry in sorted(subject.catalog.accelerators.items())
        if row.runs_on(entry.spec.compute_capability)
    ]


def _choose(
    name: str,
    known: Collection[str],
    *,
    kind: str,
) -> str:
    if not known:
        return f"apply a manifest for {name}: there is no {kind} at all yet"
    close = get_close_matches(name, sorted(known), n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return f"{guess}choose one of {', '.join(sorted(known))}, or apply a manifest for {name}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) or "none in the catalogue"
