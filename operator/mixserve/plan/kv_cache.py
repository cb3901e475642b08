"""How a pool stores keys and values: a format of the catalogue, or the model's own precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.engine import KV_CACHE_AUTO
from mixserve.api.quantization import KV_CACHE_PREFIX, FormatTarget

if TYPE_CHECKING:
    from mixserve.api.engine import Engine, EngineType
    from mixserve.api.quantization import QuantizationFormat, QuantizationFormatSpec
    from mixserve.api.quantization_engine import QuantizationEngine
    from mixserve.catalog.built_in import Catalog


def kv_cache_name(engine: Engine) -> str | None:
    """The name of the format's QuantizationFormat; None for the model's own precision."""
    written = engine.kv_cache.format
    return None if written == KV_CACHE_AUTO else f"{KV_CACHE_PREFIX}{written}"


def is_for_kv_cache(entry: QuantizationFormat) -> bool:
    """Whether a format is one of the KV cache and not of weights."""
    return entry.spec.target is FormatTarget.KV_CACHE


def kv_cache_format(engine: Engine, catalog: Catalog) -> QuantizationFormatSpec | None:
    """The format; None for the model's own precision, or if the catalogue lacks it."""
    name = kv_cache_name(engine)
    entry = None if name is None else catalog.formats.get(name)
    return None if entry is None else entry.spec


def kv_cache_row(kv_cache: QuantizationFormatSpec | None, engine: EngineType) -> QuantizationEngine | None:
    """How `engine` runs the format, or None if it does not, or there is none."""
    return None if kv_cache is None else next((row for row in kv_cache.engines if row.type is engine), None)
