"""Checks of the KV cache's format: is there one of the name, and does the engine run it on the variants' GPUs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.engine import KV_CACHE_AUTO
from mixserve.api.names import Reason
from mixserve.api.quantization import KV_CACHE_PREFIX
from mixserve.engines.registry import adapter_for
from mixserve.engines.versions import is_older
from mixserve.plan.kv_cache import is_for_kv_cache, kv_cache_name, kv_cache_row
from mixserve.validate.suggestion import choose
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.quantization_engine import QuantizationEngine
    from mixserve.validate.subject import Subject

_PATH = "spec.engine.kvCache.format"
_LEAVE_IT = f"set it to {KV_CACHE_AUTO}, which every engine and GPU runs"


def unknown_kv_cache_format(subject: Subject) -> Iterator[Violation]:
    """The format is not in the catalogue."""
    name = kv_cache_name(subject.pool.spec.engine)
    if name is not None and subject.kv_cache is None:
        formats = subject.catalog.formats
        known = [each.removeprefix(KV_CACHE_PREFIX) for each, entry in formats.items() if is_for_kv_cache(entry)]
        written = name.removeprefix(KV_CACHE_PREFIX)
        yield Violation(
            Reason.UNKNOWN_QUANTIZATION,
            _PATH,
            f"there is no QuantizationFormat {name}",
            choose(written, [KV_CACHE_AUTO, *known], kind="QuantizationFormat"),
        )


def kv_cache_unsupported_by_engine(subject: Subject) -> Iterator[Violation]:
    """The engine, or this version of it, does not store keys and values so."""
    engine, row = subject.pool.spec.engine, _row(subject)
    if row is None:
        if subject.kv_cache is not None:
            yield _unsupported(f"{engine.type} does not run {kv_cache_name(engine)}", _LEAVE_IT)
    elif row.minimum_version is not None and is_older(engine.version, row.minimum_version):
        yield _unsupported(
            f"{engine.kv_cache.format} needs {engine.type} {row.minimum_version}, and spec.engine.version is "
            f"{engine.version}",
            f"set spec.engine.version to {row.minimum_version} or newer, or {_LEAVE_IT}",
        )


def kv_cache_unsupported_by_accelerator(subject: Subject) -> Iterator[Violation]:
    """The variant's GPU does not store keys and values so."""
    row, entry = _row(subject), subject.catalog.accelerators.get(subject.variant.accelerator)
    if row is None or entry is None or row.runs_on(entry.spec.compute_capability):
        return
    found = entry.spec.compute_capability
    refusal = row.refusal_on(found)
    why = f"it needs {row.minimum_compute_capability}" if refusal is None else refusal.reason
    yield _unsupported(
        f"{subject.pool.spec.engine.type} does not run a KV cache in {subject.pool.spec.engine.kv_cache.format} on "
        f"{subject.variant.accelerator} (compute capability {found}) of variant {subject.variant.name}: {why}",
        f"{_LEAVE_IT}, or choose another accelerator in {subject.path}.accelerator",
    )


def kv_cache_flag_owned(subject: Subject) -> Iterator[Violation]:
    """The format's own arguments go onto the command line as well."""
    row, adapter = _row(subject), adapter_for(subject.pool.spec.engine.type)
    for argument in () if row is None else row.arguments:
        flag = argument.partition("=")[0]
        if flag not in adapter.kv_cache_flags and adapter.owner_of(argument) is not None:
            yield Violation(
                Reason.OWNED_FLAG,
                _PATH,
                f"the QuantizationFormat {kv_cache_name(subject.pool.spec.engine)} has the argument {flag}, which is "
                "not a format's to give",
                f"take it out of that QuantizationFormat, or {_LEAVE_IT}",
            )


def _row(subject: Subject) -> QuantizationEngine | None:
    return kv_cache_row(subject.kv_cache, subject.pool.spec.engine.type)


def _unsupported(cause: str, remedy: str) -> Violation:
    return Violation(Reason.UNSUPPORTED_QUANTIZATION, _PATH, cause, remedy)
