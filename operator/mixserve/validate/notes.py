"""What is worth knowing about a pool and no reason to refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.engines.versions import line, nearest_line
from mixserve.plan.facts import UnknownFacts
from mixserve.validate.not_known import unknown_reason
from mixserve.validate.violation import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.pool import LLMServingPool
    from mixserve.validate.subject import Subject


def version_unknown(pool: LLMServingPool) -> Iterator[Note]:
    """The engine's version is none that the adapter was written for."""
    engine = pool.spec.engine
    known = adapter_for(engine.type).supported_versions
    if line(engine.version) not in known:
        yield Note(
            Reason.VALID,
            "spec.engine.version",
            f"{engine.type} {engine.version} is not known, and treated as {nearest_line(engine.version, known)}",
            f"choose a version of {', '.join(known)}, or watch whether this one starts and reports its metrics",
        )


def engine_caveats(pool: LLMServingPool) -> Iterator[Note]:
    """What the engine's version does not do."""
    engine = pool.spec.engine
    for caveat in adapter_for(engine.type).caveats(engine.version):
        yield Note(Reason.VALID, "spec.engine.version", caveat.cause, caveat.remedy)


def facts_unknown(subject: Subject) -> Iterator[Note]:
    """Whether the model fits can't be checked."""
    facts = subject.facts
    if isinstance(facts, UnknownFacts):
        yield Note(unknown_reason(facts), subject.source_path, facts.detail, facts.remedy)


def auto_waits(subject: Subject) -> Iterator[Note]:
    """The number of GPUs is to be worked out, and nobody knows the model yet."""
    facts = subject.facts
    if subject.variant.is_auto and isinstance(facts, UnknownFacts):
        yield Note(
            unknown_reason(facts),
            f"{subject.path}.tensorParallel",
            "auto waits for the model's numbers",
            "give a number of GPUs to go on without them",
        )


def format_falls_back(subject: Subject) -> Iterator[Note]:
    """The GPU has no units for the format: it saves memory and no time."""
    variant, placement = subject.variant, subject.own_placement
    if placement is None:
        return
    row, found = placement.row, placement.accelerator.compute_capability
    if not row.is_native_on(found):
        kernel = f" ({row.fallback_kernel})" if row.fallback_kernel else ""
        yield Note(
            Reason.VALID,
            f"{subject.path}.quantization",
            f"{variant.accelerator} (compute capability {found}) computes {variant.quantization} in 16 bits{kernel}: "
            "it saves memory and no arithmetic",
            f"nothing has to be done; compute capability {row.native_compute_capability} and newer compute in the "
            "format itself",
        )
