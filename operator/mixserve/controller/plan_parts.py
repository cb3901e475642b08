"""What a pool's plan is made from, put together: per variant its placement, memory and speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.plan.memory import MEAN_CONTEXT_TOKENS, batch_prior, memory_plan_if_known
from mixserve.plan.placement import placement_of
from mixserve.plan.speed_up import SpeculationSpeed
from mixserve.plan.token_prices import split_price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation
    from mixserve.plan.token_prices import SplitPrice


@dataclass(frozen=True)
class PlanParts:
    """What a plan is made from: a pool without auto, and by variant the model's numbers and what proposes tokens."""

    pool: LLMServingPool
    catalog: Catalog
    facts: Mapping[str, Facts]
    speculation: Mapping[str, Speculation]

    def placement(self, variant: Variant) -> Placement:
        """What a variant's names stand for."""
        return placement_of(self.pool, variant=variant, catalog=self.catalog)

    def memory(self, variant: Variant) -> MemoryPlan | None:
        """Of one replica; None where the model's numbers are not known."""
        return memory_plan_if_known(
            self.facts[variant.name],
            engine=self.pool.spec.engine,
            placement=self.placement(variant),
            speculation=self.speculation.get(variant.name),
        )

    def prior(self, variant: Variant) -> float:
        """Requests that fit in a replica at once."""
        return batch_prior(self.pool.spec.engine, placement=self.placement(variant), plan=self.memory(variant))

    def split_price(self, variant: Variant) -> SplitPrice | None:
        """What tokens of a full replica cost; None where the model's numbers are not known."""
        memory, speculation = self.memory(variant), self.speculation.get(variant.name)
        if memory is None:
            return None
        pair = None if speculation is None else speculation.spec
        return split_price(memory, placement=self.placement(variant), engine=self.pool.spec.engine, pair=pair)

    def speed(self, variant: Variant, speculation: Speculation) -> SpeculationSpeed | None:
        """What the expected speed-up is worked out from; None where numbers are not known."""
        memory = self.memory(variant)
        if memory is None:
            return None
        return SpeculationSpeed.of(
            speculation.spec,
            memory,
            accelerator=self.placement(variant).accelerator,
            context_tokens=min(MEAN_CONTEXT_TOKENS, memory.context_tokens),
        )
