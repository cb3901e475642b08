"""From a raw pool to what it should consist of, worked out anew only when something that it depends on has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.engine import EngineType
from mixserve.api.names import ANNOTATION_LAST_VALID_SPEC, Reason
from mixserve.api.pool import LLMServingPool, ModelFacts
from mixserve.api.quantization import QuantizationFormat
from mixserve.apply.resources import SERVICE_ACCOUNTS
from mixserve.catalog.built_in import Catalog
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.scraping import MetricsEndpoint
from mixserve.engines.registry import adapter_for
from mixserve.plan.facts import facts_by_variant
from mixserve.plan.memory import batch_prior, memory_plan
from mixserve.plan.objects import DesiredObject, deployment_name, desired_objects
from mixserve.plan.placement import PlacementError, placement_of
from mixserve.validate.checks import notes, violations
from mixserve.validate.pool_checks import served_name_owners
from mixserve.validate.violation import Note, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from mixserve.api.base import StrictModel
    from mixserve.api.pool import Variant
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import ObjectCache
    from mixserve.observe.model_files import ModelConfigReader
    from mixserve.plan.facts import Facts
    from mixserve.status.troubles import Advise

    RawObject = Mapping[str, Any]


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
    """

    pool: LLMServingPool
    objects: tuple[DesiredObject, ...]
    deployments: Mapping[str, str]
    priors: Mapping[str, float]
    prices: Mapping[str, Decimal]
    endpoint: MetricsEndpoint


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """A pool's spec, judged.

    Attributes:
        violations: what is wrong with it.
        notes: what there is to know.
        advise: what its engine knows of start-up errors.
        plan: what it should consist of; None if something is wrong.
    """

    violations: tuple[Violation, ...] = ()
    notes: tuple[Note, ...] = ()
    advise: Advise
    plan: PoolPlan | None = None


@dataclass(frozen=True)
class _Known:
    """An assessment, and all that it came from: versions of objects, contents of files."""

    basis: tuple[Any, ...]
    assessment: Assessment


class Planner:
    """Judges pools and plans them.

    Args:
        view: the catalogue, and the pools that may want the same names.
        configs: reads config.json.
    """

    def __init__(self, view: ClusterView, configs: ModelConfigReader) -> None:
        self._view = view
        self._configs = configs
        self._known: dict[PoolKey, _Known] = {}
        self._catalog_known: tuple[tuple[int, int], Catalog] | None = None
        self._parsed: dict[str, tuple[int, StrictModel | ValidationError]] = {}

    async def assess(self, key: PoolKey, raw: RawObject) -> Assessment:
        """What is to be thought of the pool, and made of it."""
        pool = self._parse(LLMServingPool, raw)
        if isinstance(pool, ValidationError):
            return Assessment(violations=_unreadable(pool), advise=adapter_for(EngineType.VLLM).advise)
        configs = await self._read_configs(pool)
        catalog, owners = self._catalog(), self._owners(key, pool)
        basis = (pool, catalog, owners, configs)
        known = self._known.get(key)
        if known is None or known.basis != basis:
            facts = facts_by_variant(pool, configs)
            known = self._known[key] = _Known(basis, _assess(pool, catalog, facts, owners))
        return known.assessment

    async def recover(self, raw: RawObject) -> PoolPlan | None:
        """The plan that a pool's objects were made from, for an operator that did not make them itself.

        Returns:
            None where the pool has no objects yet, or the catalogue no longer has what they were made from.
        """
        pool = _last_valid(raw, self._view.get(SERVICE_ACCOUNTS, key_of(raw)))
        if pool is None:
            return None
        facts = facts_by_variant(pool, await self._read_configs(pool))
        try:
            return _plan(pool, self._catalog(), facts)
        except PlacementError:
            return None

    def forget(self, key: PoolKey) -> None:
        """Drop a pool that is gone."""
        self._known.pop(key, None)

    def forget_object(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._parsed.pop(uid, None)

    async def _read_configs(self, pool: LLMServingPool) -> dict[str, Mapping[str, Any] | None]:
        return {source: await self._configs.read(source) for source in _sources(pool)}

    def _catalog(self) -> Catalog:
        """The whole catalogue: what a pool names need not exist, and remedies name what does."""
        revisions = (self._view.formats.revision, self._view.accelerators.revision)
        if self._catalog_known is None or self._catalog_known[0] != revisions:
            catalog = Catalog(
                formats=self._entries(QuantizationFormat, self._view.formats),
                accelerators=self._entries(AcceleratorClass, self._view.accelerators),
            )
            self._catalog_known = (revisions, catalog)
        return self._catalog_known[1]

    def _entries(self, model: type[Any], cache: ObjectCache) -> dict[str, Any]:
        parsed = [self._parse(model, raw) for raw in cache.all()]
        return {entry.metadata.name: entry for entry in parsed if not isinstance(entry, ValidationError)}

    def _owners(self, key: PoolKey, pool: LLMServingPool) -> dict[str, str]:
        """Who answers for the names of the pool."""
        raws = (self._view.pools.get(other) for other in self._view.names.sharing(key))
        others = (self._parse(LLMServingPool, raw) for raw in raws if raw is not None)
        return served_name_owners([pool, *(other for other in others if not isinstance(other, ValidationError))])

    def _parse(self, model: type[Any], raw: RawObject) -> Any:
        """The parsed object, or what is wrong with it; once for each generation of its spec."""
        metadata = raw["metadata"]
        uid, generation = metadata["uid"], metadata["generation"]
        known = self._parsed.get(uid)
        if known is None or known[0] != generation:
            known = self._parsed[uid] = (generation, _parsed(model, raw))
        return known[1]


def _parsed(model: type[StrictModel], raw: RawObject) -> StrictModel | ValidationError:
    try:
        return model.parse({key: value for key, value in raw.items() if key != "status"})
    except ValidationError as error:
        return error


def _last_valid(raw: RawObject, account: RawObject | None) -> LLMServingPool | None:
    """The pool as it was when its ServiceAccount was last applied."""
    metadata: Mapping[str, Any] = {} if account is None else account["metadata"]
    if not any(owner["uid"] == raw["metadata"]["uid"] for owner in metadata.get("ownerReferences", ())):
        return None
    try:
        spec = json.loads(metadata.get("annotations", {}).get(ANNOTATION_LAST_VALID_SPEC, "null"))
        return LLMServingPool.parse({**raw, "spec": spec, "status": None})
    except ValueError:  # edited by hand, or written by another version of Mixserve
        return None


def _unreadable(error: ValidationError) -> tuple[Violation, ...]:
    """A spec that the API server let in and we can't read: its CRD is of another version of Mixserve."""
    return tuple(
        Violation(
            Reason.INVALID_SPEC,
            ".".join(str(part) for part in entry["loc"]),
            f"the operator can't read it: {entry['msg']}",
            "correct the field, and install the CRDs of the operator's own version",
        )
        for entry in error.errors(include_url=False)
    )


def _sources(pool: LLMServingPool) -> set[str]:
    """Checkpoints whose config.json is of interest."""
    if pool.spec.model.facts is not None:
        return set()
    return {variant.source or pool.spec.model.source for variant in pool.spec.variants}


def _assess(
    pool: LLMServingPool,
    catalog: Catalog,
    facts: Mapping[str, Facts],
    owners: Mapping[str, str],
) -> Assessment:
    advise = adapter_for(pool.spec.engine.type).advise
    wrong = violations(pool, catalog, facts, owners)
    if wrong:
        return Assessment(violations=wrong, advise=advise)
    return Assessment(notes=notes(pool, catalog, facts), advise=advise, plan=_plan(pool, catalog, facts))


def _plan(pool: LLMServingPool, catalog: Catalog, facts: Mapping[str, Facts]) -> PoolPlan:
    adapter, variants = adapter_for(pool.spec.engine.type), pool.spec.variants
    return PoolPlan(
        pool=pool,
        objects=desired_objects(pool, catalog, facts).objects,
        deployments={variant.name: deployment_name(pool, variant) for variant in variants},
        priors={variant.name: _prior(pool, variant, catalog, facts[variant.name]) for variant in variants},
        prices={v.accelerator: catalog.accelerators[v.accelerator].spec.price_per_hour for v in variants},
        endpoint=MetricsEndpoint(
            port=adapter.port,
            path=adapter.metrics_path,
            names=adapter.metric_names(pool.spec.engine.version),
        ),
    )


def _prior(pool: LLMServingPool, variant: Variant, catalog: Catalog, facts: Facts) -> float:
    placement = placement_of(pool, variant, catalog)
    memory = memory_plan(facts, pool.spec.engine, placement) if isinstance(facts, ModelFacts) else None
    return batch_prior(pool.spec.engine, placement, memory)
