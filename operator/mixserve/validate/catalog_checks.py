"""Checks of what a variant names: does it exist, and does the engine run it on that GPU?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.engines.versions import is_older
from mixserve.plan.kv_cache import is_for_kv_cache
from mixserve.validate.suggestion import choose
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mixserve.api.quantization_engine import QuantizationEngine
    from mixserve.validate.subject import Subject

_FORMAT = "QuantizationFormat"


def unknown_quantization(subject: Subject) -> Iterator[Violation]:
    """The format is not in the catalogue."""
    name, known = subject.variant.quantization, subject.catalog.formats
    if name not in known:
        yield Violation(
            Reason.UNKNOWN_QUANTIZATION,
            f"{subject.path}.quantization",
            f"there is no QuantizationFormat {name}",
            choose(name, [each for each, entry in known.items() if not is_for_kv_cache(entry)], kind=_FORMAT),
        )


def unknown_accelerator(subject: Subject) -> Iterator[Violation]:
    """The GPU is not in the catalogue."""
    name, known = subject.variant.accelerator, subject.catalog.accelerators
    if name not in known:
        yield Violation(
            Reason.UNKNOWN_ACCELERATOR,
            f"{subject.path}.accelerator",
            f"there is no AcceleratorClass {name}",
            choose(name, known, kind="AcceleratorClass"),
        )


def unsupported_by_engine(subject: Subject) -> Iterator[Violation]:
    """The engine does not run the format at all."""
    name, engine = subject.variant.quantization, subject.pool.spec.engine.type
    if name in subject.catalog.formats and subject.row(name) is None:
        runs = [known for known in sorted(subject.catalog.formats) if subject.row(known) is not None]
        yield Violation(
            Reason.UNSUPPORTED_QUANTIZATION,
            f"{subject.path}.quantization",
            f"{name} is a format of the KV cache, not of weights"
            if is_for_kv_cache(subject.catalog.formats[name])
            else f"{engine} does not run {name}",
            f"choose one that it runs: {', '.join(runs)}"
            if runs
            else f"apply a QuantizationFormat that {engine} runs, as none in the catalogue is one",
        )


def unsupported_by_accelerator(subject: Subject) -> Iterator[Violation]:
    """The GPU is older than what the format needs, or one that the format refuses."""
    variant, placement = subject.variant, subject.own_placement
    if placement is None:
        return
    needed, found = placement.row.minimum_compute_capability, placement.accelerator.compute_capability
    if placement.row.runs_on(found):
        return
    refusal, engine = placement.row.refusal_on(found), subject.pool.spec.engine.type
    yield Violation(
        Reason.UNSUPPORTED_QUANTIZATION,
        f"{subject.path}.quantization",
        f"{variant.quantization} needs compute capability {needed} with {engine}, and {variant.accelerator} has {found}"
        if refusal is None
        else f"{engine} does not run {variant.quantization} on {variant.accelerator} (compute capability {found}): "
        f"{refusal.reason}",
        f"choose a quantization that {variant.accelerator} runs ({_listed(_formats_for(subject, found))}), "
        f"or an accelerator that runs {variant.quantization} ({_listed(_accelerators_for(subject, placement.row))})",
    )


def engine_too_old(subject: Subject) -> Iterator[Violation]:
    """The version of the engine does not have the format yet."""
    name, engine = subject.variant.quantization, subject.pool.spec.engine
    row = subject.row(name)
    if row is not None and row.minimum_version is not None and is_older(engine.version, row.minimum_version):
        yield Violation(
            Reason.UNSUPPORTED_QUANTIZATION,
            "spec.engine.version",
            f"{name} in variant {subject.variant.name} needs {engine.type} {row.minimum_version}, and this is "
            f"{engine.version}",
            f"set it to {row.minimum_version} or newer, or choose another quantization in {subject.path}.quantization",
        )


def more_gpus_than_a_node(subject: Subject) -> Iterator[Violation]:
    """The GPUs of a replica are on one node."""
    variant, entry = subject.variant, subject.catalog.accelerators.get(subject.variant.accelerator)
    if entry is not None and variant.gpus > entry.spec.gpus_per_node:
        most = entry.spec.gpus_per_node
        yield Violation(
            Reason.INVALID_SPEC,
            f"{subject.path}.tensorParallel",
            f"one replica's GPUs are on one node, and nodes with {variant.accelerator} have {most} at most, not "
            f"{variant.gpus}",
            f"set it to {most} or less, choose another accelerator, or correct gpusPerNode of the AcceleratorClass "
            f"{variant.accelerator}",
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


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) or "none in the catalogue"
