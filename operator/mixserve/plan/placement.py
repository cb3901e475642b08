"""What the names in a variant stand for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from mixserve.api.quantization import FormatTarget
from mixserve.plan.adapter_memory import adapter_slots
from mixserve.plan.kv_cache import kv_cache_format, kv_cache_name

if TYPE_CHECKING:
    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.engine import Engine, EngineType
    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.quantization import QuantizationFormatSpec
    from mixserve.api.quantization_engine import QuantizationEngine
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.adapter_memory import AdapterSlots

_FULL_BITS = Decimal(16)
"""Of keys and values in the model's own precision: the models here compute in 16 bits."""


class PlacementError(Exception):
    """The catalogue has no such entry, or the engine does not run the format. `validate` says so before."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A quantization format on a number of GPUs of one kind.

    Attributes:
        weights: how the weights are stored.
        row: how the pool's engine runs that.
        accelerator: the GPU.
        tensor_parallel: GPUs of one replica.
        kv_cache: how keys and values are stored; None for the model's own precision.
        adapters: the room for LoRA adapters beside the weights; None without any.
    """

    weights: QuantizationFormatSpec
    row: QuantizationEngine
    accelerator: AcceleratorClassSpec
    tensor_parallel: int
    kv_cache: QuantizationFormatSpec | None = None
    adapters: AdapterSlots | None = None

    @property
    def kv_bits(self) -> Decimal:
        """Bits of one number in the KV cache."""
        return _FULL_BITS if self.kv_cache is None else self.kv_cache.bits


def placement_of(
    pool: LLMServingPool,
    *,
    variant: Variant,
    catalog: Catalog,
) -> Placement:
    """Resolve a variant of a valid pool.

    Raises:
        PlacementError: the pool is not valid.
    """
    found = find_placement(
        catalog,
        engine=pool.spec.engine,
        quantization=variant.quantization,
        accelerator=variant.accelerator,
        tensor_parallel=variant.gpus,
        adapters=adapter_slots(pool.spec.model.adapters),
    )
    if found is None:
        raise PlacementError(
            f"variant {variant.name}: {variant.quantization} on {variant.accelerator} is not in the catalogue "
            f"for {pool.spec.engine.type}"
        )
    if found.kv_cache is None and kv_cache_name(pool.spec.engine) is not None:
        raise PlacementError(f"there is no QuantizationFormat {kv_cache_name(pool.spec.engine)}")
    return found


def find_placement(
    catalog: Catalog,
    *,
    engine: Engine,
    quantization: str,
    accelerator: str,
    tensor_parallel: int,
    adapters: AdapterSlots | None = None,
) -> Placement | None:
    """A combination of entries of the catalogue; None where one is absent or the engine does not run the format."""
    weights, gpu = catalog.formats.get(quantization), catalog.accelerators.get(accelerator)
    row = None if weights is None else engine_row(weights.spec, engine.type)
    if weights is None or gpu is None or row is None:
        return None
    return Placement(
        weights=weights.spec,
        row=row,
        accelerator=gpu.spec,
        tensor_parallel=tensor_parallel,
        kv_cache=kv_cache_format(engine, catalog),
        adapters=adapters,
    )


def engine_row(weights: QuantizationFormatSpec, engine: EngineType) -> QuantizationEngine | None:
    """How `engine` runs a format of weights, or None if it does not, or the format is one of the KV cache."""
    if weights.target is FormatTarget.KV_CACHE:
        return None
    return next((row for row in weights.engines if row.type is engine), None)
