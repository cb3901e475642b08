"""What comes of a judgement: an assessment of the pool, with its plan where nothing stands against one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixserve.api.pool_status import PoolPrices, PriceSource
from mixserve.controller.plan_parts import PlanParts
from mixserve.controller.scraping import MetricsEndpoint
from mixserve.engines.registry import adapter_for
from mixserve.plan.objects import DesiredObject, deployment_name, desired_objects
from mixserve.validate.judgement import Judgement, findings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from mixserve.api.pool import LLMServingPool
    from mixserve.apply.late_facts import MadeWith
    from mixserve.plan.speed_up import SpeculationSpeed
    from mixserve.status.troubles import Advise
    from mixserve.validate.name_checks import Name
    from mixserve.validate.violation import Note, Violation


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """What a valid pool should consist of.

    Attributes:
        pool: the pool.
        objects: in the order in which they are made.
        deployments: the name of each variant's Deployment, in the order of the spec.
        priors: by variant, the requests that fit in a replica at once.
        prices: by AcceleratorClass, USD per GPU and hour.
        endpoint: where its engines have their metrics.
        token_prices: what tokens cost, given or predicted; None where neither.
        speeds: by variant that speculates, what `expected_speed_up` needs; None where numbers are not known.
    """

    pool: LLMServingPool
    objects: tuple[DesiredObject, ...]
    deployments: Mapping[str, str]
    priors: Mapping[str, float]
    prices: Mapping[str, Decimal]
    endpoint: MetricsEndpoint
    speeds: Mapping[str, SpeculationSpeed | None] = field(default_factory=dict)
    token_prices: PoolPrices | None = None


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """A pool's spec, judged.

    Attributes:
        violations: what is wrong with it.
        notes: what there is to know.
        advise: what its engine knows of start-up errors.
        waits: nothing is wrong, and there is no plan yet for want of the model's files.
        plan: what it should consist of; None if something is wrong, or it waits.
    """

    violations: tuple[Violation, ...] = ()
    notes: tuple[Note, ...] = ()
    advise: Advise
    waits: bool = False
    plan: PoolPlan | None = None


def assessment_of(
    judgement: Judgement,
    owners: Mapping[Name, LLMServingPool],
    made_with: MadeWith,
    *,
    routed: tuple[Violation, ...] = (),
) -> Assessment:
    """What is to be thought of a pool.

    Args:
        judgement: the pool by itself.
        owners: who has the names that it wants.
        made_with: what its objects are to be made with.
        routed: its names that policies answer for.
    """
    found = findings(judgement, owners, routed)
    waits = judgement.waits and not found.violations
    return Assessment(
        violations=found.violations,
        notes=found.notes,
        advise=adapter_for(judgement.pool.spec.engine.type).advise,
        waits=waits,
        plan=None if waits or found.violations else plan_of(judgement, made_with),
    )


def plan_of(judgement: Judgement, made_with: MadeWith) -> PoolPlan:
    """What a pool should consist of.

    Raises:
        PlacementError: the pool is not valid.
    """
    pool, catalog, speculation = judgement.resolved, judgement.catalog, judgement.speculation
    parts, adapter, variants = _parts(judgement), adapter_for(pool.spec.engine.type), pool.spec.variants
    desired = desired_objects(
        pool, catalog=catalog, facts_by_variant=made_with.facts, speculation=made_with.speculation
    )
    return PoolPlan(
        pool=pool,
        objects=desired.objects,
        deployments={variant.name: deployment_name(pool, variant) for variant in variants},
        priors={variant.name: parts.prior(variant) for variant in variants},
        prices={v.accelerator: catalog.accelerators[v.accelerator].spec.price_per_hour for v in variants},
        endpoint=MetricsEndpoint(port=adapter.port, page=adapter.metrics_page(pool.spec.engine.version)),
        speeds={v.name: parts.speed(v, speculation[v.name]) for v in variants if v.name in speculation},
        token_prices=_token_prices(parts),
    )


def _token_prices(parts: PlanParts) -> PoolPrices | None:
    given = parts.pool.spec.prices
    if given is not None:
        return PoolPrices(
            prompt_per_million=str(given.prompt),
            cached_prompt_per_million=str(given.cached_prompt or 0),
            completion_per_million=str(given.completion),
            source=PriceSource.GIVEN,
        )
    predicted = next((found for each in parts.pool.spec.variants if (found := parts.split_price(each))), None)
    if predicted is None:
        return None
    return PoolPrices(
        prompt_per_million=str(predicted.prompt),
        cached_prompt_per_million=str(predicted.cached_prompt),
        completion_per_million=str(predicted.completion),
        source=PriceSource.PREDICTED,
    )


def _parts(judgement: Judgement) -> PlanParts:
    return PlanParts(judgement.resolved, judgement.catalog, judgement.facts, judgement.speculation)


def fits(judgement: Judgement) -> bool:
    """Whether no variant is known not to fit.

    Raises:
        PlacementError: the pool is not valid.
    """
    parts = _parts(judgement)
    plans = [parts.memory(variant) for variant in parts.pool.spec.variants]
    return all(plan is None or plan.fits for plan in plans)
