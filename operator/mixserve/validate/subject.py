"""What the checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.pool import ModelFacts
from mixserve.plan.placement import Placement, engine_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.quantization import QuantizationEngine
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One variant of a pool, with everything that it is held against.

    Attributes:
        pool: the pool.
        index: the variant's place in the spec.
        catalog: the formats and accelerators that there are.
        facts: the model's numbers, or why there are none.
    """

    pool: LLMServingPool
    index: int
    catalog: Catalog
    facts: Facts

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
        """How the pool's engine runs a format of the catalogue, or None if it does not."""
        return engine_row(self.catalog.formats[quantization].spec, self.pool.spec.engine.type)

    def placement(
        self,
        *,
        quantization: str,
        accelerator: str,
        tensor_parallel: int,
    ) -> Placement | None:
        """A combination of entries of the catalogue; None where one is absent or the engine does not run the format."""
        known = quantization in self.catalog.formats and accelerator in self.catalog.accelerators
        row = self.row(quantization) if known else None
        if row is None:
            return None
        return Placement(
            weights=self.catalog.formats[quantization].spec,
            row=row,
            accelerator=self.catalog.accelerators[accelerator].spec,
            tensor_parallel=tensor_parallel,
        )


def subjects_of(pool: LLMServingPool, catalog: Catalog, facts: Mapping[str, Facts]) -> tuple[Subject, ...]:
    """A subject per variant."""
    return tuple(
        Subject(pool=pool, index=index, catalog=catalog, facts=facts[variant.name])
        for index, variant in enumerate(pool.spec.variants)
    )
