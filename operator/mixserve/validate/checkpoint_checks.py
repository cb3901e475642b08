"""Checks of a variant's quantization against its checkpoint: engines read the format there, whatever a pool says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.plan.model_source import repository_of
from mixserve.plan.quant_method import UNQUANTIZED, is_one_of
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.pool import Variant
    from mixserve.api.quantization import Checkpoint
    from mixserve.validate.subject import Subject


def checkpoint_in_another_format(subject: Subject) -> Iterator[Violation]:
    """The checkpoint's config.json names another format: the memory and the speed of the wrong one were planned."""
    name, method = subject.variant.quantization, subject.quant_method
    expected = _checkpoint(subject, name)
    if method is None or expected is None or _may_be(subject, name):
        return
    repository = repository_of(subject.pool, subject.variant)
    yield Violation(
        Reason.CHECKPOINT_MISMATCH,
        f"{subject.path}.quantization",
        f"the config.json of {repository} says that its weights are {_stored(method)}, and those of {name} are "
        f"{_stored(' or '.join(expected.quant_methods))}",
        _remedy(subject),
    )


def checkpoint_in_two_formats(subject: Subject) -> Iterator[Violation]:
    """Variants share a checkpoint, and at most one of their formats is the one that it is in.

    Formats with arguments are made from a checkpoint in another one while it is loaded, and may share it.
    """
    variant, path = subject.variant, f"{subject.path}.quantization"
    for other in subject.pool.spec.variants[: subject.index]:
        is_shared = repository_of(subject.pool, other) == repository_of(subject.pool, variant)
        if is_shared and _exclude_each_other(subject, (other, variant)):
            yield Violation(
                Reason.CHECKPOINT_MISMATCH,
                path,
                f"{repository_of(subject.pool, variant)} is {other.quantization} in variant {other.name} and "
                f"{variant.quantization} here, and a checkpoint is in one format only",
                f"give one of them a source of its own, with a checkpoint in its format, in {subject.path}.source",
            )
            return


def checkpoint_not_read(subject: Subject) -> Iterator[Violation]:
    """The engine runs the format, and does not read it as this checkpoint says it."""
    engine, method = subject.pool.spec.engine.type, subject.quant_method
    instead = None if method is None else adapter_for(engine).refused_checkpoint(method)
    if method is not None and instead is not None:
        yield Violation(
            Reason.CHECKPOINT_MISMATCH,
            subject.source_path,
            f"{engine} does not read weights that are {_stored(method)}",
            instead,
        )


def _exclude_each_other(subject: Subject, variants: tuple[Variant, Variant]) -> bool:
    """Whether no checkpoint can be right for both, and what is known of it does not say which one it is wrong for."""
    formats = {variant.quantization for variant in variants}
    return len(formats) > 1 and all(_is_read(subject, name) and _may_be(subject, name) for name in formats)


def _is_read(subject: Subject, quantization: str) -> bool:
    """Whether the engine takes the format from the checkpoint."""
    row = subject.row(quantization)
    return row is not None and not row.arguments


def _may_be(subject: Subject, quantization: str) -> bool:
    """Whether the checkpoint may be in a format, as far as anybody knows."""
    expected = _checkpoint(subject, quantization)
    if subject.quant_method is None or expected is None:
        return True
    if subject.quant_method == UNQUANTIZED:
        return not expected.quant_methods
    return is_one_of(subject.quant_method, expected.quant_methods)


def _checkpoint(subject: Subject, quantization: str) -> Checkpoint | None:
    entry = subject.catalog.formats.get(quantization)
    return None if entry is None else entry.spec.checkpoint


def _stored(method: str) -> str:
    return "not quantized" if method == UNQUANTIZED else f"stored as {method}"


def _remedy(subject: Subject) -> str:
    known = sorted(subject.catalog.formats)
    right = [name for name in known if _checkpoint(subject, name) is not None and _may_be(subject, name)]
    another = f"name a checkpoint in {subject.variant.quantization} in {subject.source_path}"
    return f"choose a quantization for it ({', '.join(right)}), or {another}" if right else another
