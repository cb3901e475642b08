"""What the checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.model_facts import ModelFacts
from mixserve.plan.adapter_memory import adapter_slots
from mixserve.plan.kv_cache import kv_cache_format
from mixserve.plan.placement import engine_row, find_placement
from mixserve.plan.speculation import WITHOUT_SPECULATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.quantization import QuantizationFormatSpec
    from mixserve.api.quantization_engine import QuantizationEngine
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation

USUAL_GPUS_PER_NODE = 8
"""The default of `AcceleratorClassSpec.gpus_per_node`."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One variant of a pool, with everything that it is held against.

    Attributes:
        pool: the pool.
        index: the variant's place in the spec.
        catalog: the formats and accelerators that there are.
        facts: the model's numbers, or why there are none.
        quant_method: how the checkpoint is quantized; empty where it is not, None where nobody can tell.
        speculation: what proposes tokens; None where the pool names no SpeculativePair, or one that there is not.
    """

    pool: LLMServingPool
    index: int
    catalog: Catalog
    facts: Facts
    quant_method: str | None
    speculation: Speculation | None = None

    @property
    def variant(self) -> Variant:
        """The variant."""
        return self.pool.spec.variants[self.index]

    @property
    def path(self) -> str:
        """The variant's field path."""
        return f"spec.variants[{self.index}]"

    @property
    def source_path(self) -> str:
        """The field that says where the variant's checkpoint is."""
        return "spec.model.source" if self.variant.source is None else f"{self.path}.source"

    @property
    def known_facts(self) -> ModelFacts | None:
        """The model's numbers, where there are any."""
        return self.facts if isinstance(self.facts, ModelFacts) else None

    def row(self, quantization: str) -> QuantizationEngine | None:
        """How the pool's engine runs a format; None if it does not, or the catalogue has none of this name."""
        entry = self.catalog.formats.get(quantization)
        return None if entry is None else engine_row(entry.spec, self.pool.spec.engine.type)

    @property
    def kv_cache(self) -> QuantizationFormatSpec | None:
        """How the pool stores keys and values; None for the model's own precision, or if the catalogue lacks it."""
        return kv_cache_format(self.pool.spec.engine, self.catalog)

    @property
    def gpus_per_node(self) -> int:
        """GPUs of the largest node with the variant's GPUs; the usual number where the catalogue lacks them."""
        entry = self.catalog.accelerators.get(self.variant.accelerator)
        return USUAL_GPUS_PER_NODE if entry is None else entry.spec.gpus_per_node

    @property
    def own_placement(self) -> Placement | None:
        """What the variant names; see `placement`."""
        return self.placement(
            quantization=self.variant.quantization,
            accelerator=self.variant.accelerator,
            tensor_parallel=self.variant.gpus,
        )

    def placement(
        self,
        *,
        quantization: str,
        accelerator: str,
        tensor_parallel: int,
    ) -> Placement | None:
        """A combination of entries of the catalogue; None where one is absent or the engine does not run the format."""
        return find_placement(
            self.catalog,
            engine=self.pool.spec.engine,
            quantization=quantization,
            accelerator=accelerator,
            tensor_parallel=tensor_parallel,
            adapters=adapter_slots(self.pool.spec.model.adapters),
        )


def subjects_of(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    quant_methods: Mapping[str, str | None],
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> tuple[Subject, ...]:
    """A subject per variant; `quant_methods` may lack variants of which nobody can tell."""
    return tuple(
        Subject(
            pool=pool,
            index=index,
            catalog=catalog,
            facts=facts_by_variant[variant.name],
            quant_method=quant_methods.get(variant.name),
            speculation=speculation.get(variant.name),
        )
        for index, variant in enumerate(pool.spec.variants)
    )
