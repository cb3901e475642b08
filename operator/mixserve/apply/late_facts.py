"""Numbers of a model that came after its pods were made: no reason to replace them. Pure.

A pool whose files could not be read runs without a memory plan, or with one that does not count its draft. When they
can be read at last, conditions and the autoscaler take the numbers at once, and the pods get them with the next edit of
the spec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_MEMORY_PLAN
from mixserve.plan.facts import UnknownFacts
from mixserve.plan.memory import memory_plan_if_known
from mixserve.plan.objects import deployment_name
from mixserve.plan.placement import PlacementError, placement_of
from mixserve.plan.speculation import without_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.speculative_pair import SpeculativePair
    from mixserve.apply.last_valid import LastValid
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.plan.speculation import Speculation


@dataclass(frozen=True)
class MadeWith:
    """What a pool's objects are made with, by variant.

    Attributes:
        facts: of each variant's checkpoint.
        speculation: what proposes tokens; empty without speculative decoding.
    """

    facts: Mapping[str, Facts]
    speculation: Mapping[str, Speculation]


def numbers_for_objects(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    known: MadeWith,
    served: LastValid | None,
    deployments: Mapping[str, Mapping[str, Any]],
) -> MadeWith:
    """What to make a pool's objects with.

    Args:
        pool: as it shall be, with numbers where it says auto.
        catalog: what its names stand for.
        known: what is known by now.
        served: what its objects were last applied from, or None.
        deployments: those that it has, by name.
    """
    if served is None or served.pool.spec != pool.spec:
        return known
    late = _Late(pool, catalog, served.pairs, deployments)
    facts = {name: late.facts(name, one) for name, one in known.facts.items()}
    return MadeWith(facts, {name: late.speculation(name, one, facts[name]) for name, one in known.speculation.items()})


@dataclass(frozen=True)
class _Late:
    """A pool that shall be as it was applied, and what its Deployments note of the numbers that there were then."""

    pool: LLMServingPool
    catalog: Catalog
    pairs: Mapping[str, SpeculativePair]
    deployments: Mapping[str, Mapping[str, Any]]

    def facts(self, name: str, known: Facts) -> Facts:
        deployment = self._deployment(name)
        runs_without = deployment is not None and _noted_plan(deployment) is None
        return UnknownFacts("they came after the pods were made") if runs_without else known

    def speculation(self, name: str, known: Speculation, facts: Facts) -> Speculation:
        deployment, pair = self._deployment(name), self.pairs.get(known.name)
        if deployment is None or pair is None or pair.spec != known.spec:
            return known
        before = without_files(known)
        return before if self._plan(name, facts, before) == _noted_plan(deployment) else known

    def _deployment(self, name: str) -> Mapping[str, Any] | None:
        return self.deployments.get(deployment_name(self.pool, self._variant(name)))

    def _variant(self, name: str) -> Variant:
        return next(variant for variant in self.pool.spec.variants if variant.name == name)

    def _plan(self, name: str, facts: Facts, speculation: Speculation) -> str | None:
        """The memory plan as pods note it."""
        try:
            placement = placement_of(self.pool, variant=self._variant(name), catalog=self.catalog)
        except PlacementError:
            return None
        engine = self.pool.spec.engine
        plan = memory_plan_if_known(facts, engine=engine, placement=placement, speculation=speculation)
        return None if plan is None else plan.to_annotation()


def _noted_plan(deployment: Mapping[str, Any]) -> str | None:
    """The memory plan that the pods of a Deployment were made with; None where there was none."""
    metadata = deployment["spec"]["template"].get("metadata", {})
    noted: str | None = (metadata.get("annotations") or {}).get(ANNOTATION_MEMORY_PLAN)
    return noted
