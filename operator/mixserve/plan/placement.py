"""What the names in a variant stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.engine import EngineType
    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.quantization import QuantizationEngine, QuantizationFormatSpec
    from mixserve.catalog.built_in import Catalog


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
    """

    weights: QuantizationFormatSpec
    row: QuantizationEngine
    accelerator: AcceleratorClassSpec
    tensor_parallel: int


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
    weights = catalog.formats.get(variant.quantization)
    accelerator = catalog.accelerators.get(variant.accelerator)
    row = None if weights is None else engine_row(weights.spec, pool.spec.engine.type)
    if weights is None or accelerator is None or row is None:
        raise PlacementError(
            f"variant {variant.name}: {variant.quantization} on {variant.accelerator} is not in the catalogue "
            f"for {pool.spec.engine.type}"
        )
    return Placement(
        weights=weights.spec,
        row=row,
        accelerator=accelerator.spec,
        tensor_parallel=variant.tensor_parallel,
    )


def engine_row(weights: QuantizationFormatSpec, engine: EngineType) -> QuantizationEngine | None:
    """How `engine` runs the format, or None if it does not."""
    return next((row for row in weights.engines if row.type is engine), None)
