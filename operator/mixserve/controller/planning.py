"""From a raw pool to what it should consist of, worked out anew only when something that it depends on has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.engine import EngineType
from mixserve.api.names import ANNOTATION_LAST_VALID_PAIR, ANNOTATION_LAST_VALID_SPEC
from mixserve.api.pool import LLMServingPool
from mixserve.api.quantization import QuantizationFormat
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.apply.resources import SERVICE_ACCOUNTS
from mixserve.catalog.built_in import Catalog
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.plan_parts import PlanParts
from mixserve.controller.scraping import MetricsEndpoint
from mixserve.engines.registry import adapter_for
from mixserve.plan.facts import facts_by_variant
from mixserve.plan.model_source import Repository, repositories_of
from mixserve.plan.objects import DesiredObject, deployment_name, desired_objects
from mixserve.plan.parallelism import with_tensor_parallel
from mixserve.plan.placement import PlacementError
from mixserve.plan.speculation import match_of, pair_of, speculation_by_variant
from mixserve.status.pair_status import PairAssessment
from mixserve.validate.about_pair import is_about_pair
from mixserve.validate.judgement import Judgement, findings, judge
from mixserve.validate.name_checks import Claim, name_owners
from mixserve.validate.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from mixserve.api.base import StrictModel
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import ObjectCache
    from mixserve.observe.model_files import ModelConfigReader
    from mixserve.plan.speculation import Speculation
    from mixserve.plan.speed_up import SpeculationSpeed
    from mixserve.status.troubles import Advise
    from mixserve.validate.name_checks import Name
    from mixserve.validate.violation import Note, Violation

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
        speculation: what proposes tokens, by variant; empty without speculative decoding.
        speeds: by variant, what `expected_speed_up` needs; None where numbers are not known.
    """

    pool: LLMServingPool
    objects: tuple[DesiredObject, ...]
    deployments: Mapping[str, str]
    priors: Mapping[str, float]
    prices: Mapping[str, Decimal]
    endpoint: MetricsEndpoint
    speculation: Mapping[str, Speculation] = field(default_factory=dict)
    speeds: Mapping[str, SpeculationSpeed | None] = field(default_factory=dict)


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
    """An assessment, and all that it came from: the pool by itself, and which pool has the names that it wants."""

    judgement: Judgement
    owners: Mapping[Name, LLMServingPool]
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
        self._judged: dict[PoolKey, Judgement] = {}
        self._known: dict[PoolKey, _Known] = {}
        self._catalog_known: tuple[tuple[int, int], Catalog] | None = None
        self._parsed: dict[str, tuple[int, StrictModel | ValidationError]] = {}

    async def assess(self, key: PoolKey, raw: RawObject) -> Assessment:
        """What is to be thought of the pool, and made of it."""
        pool = self._parse(LLMServingPool, raw)
        if isinstance(pool, ValidationError):
            return Assessment(violations=unreadable(pool), advise=adapter_for(EngineType.VLLM).advise)
        judgement, owners = await self._judge(key, pool), await self._owners(key, raw, pool=pool)
        known = self._known.get(key)
        if known is None or known.judgement is not judgement or known.owners != owners:
            known = self._known[key] = _Known(judgement, owners, _assess(judgement, owners))
        return known.assessment

    async def recover(self, raw: RawObject) -> PoolPlan | None:
        """The plan that a pool's objects were made from, for an operator that did not make them itself.

        Returns:
            None where the pool has no objects yet, or where by today's catalogue nothing of the kind could be made, or
            does not fit: then what runs is left as it is.
        """
        pool, pairs = self._last_valid(raw), self._last_valid_pairs(raw)
        if pool is None or (pool.spec.speculative_pair_ref is not None and not pairs):
            return None
        configs, catalog = await self._read_configs(pool, pairs), self._catalog()
        facts = facts_by_variant(pool, configs)
        speculation = speculation_by_variant(pool, pairs=pairs, configs=configs, catalog=catalog)
        resolved = with_tensor_parallel(pool, catalog=catalog, facts_by_variant=facts, speculation=speculation)
        parts = PlanParts(resolved, catalog, facts, speculation)
        try:
            return _plan(parts) if _fits(parts) else None
        except PlacementError:
            return None

    def pair_assessment(self, key: PoolKey) -> PairAssessment | None:
        """What the last assessment of a pool says of its SpeculativePair; None for a pool that had none yet."""
        known = self._known.get(key)
        if known is None:
            return None
        speculation = known.judgement.speculation.values()
        plan = known.assessment.plan
        return PairAssessment(
            tokenizers_match=match_of(speculation).verdict.value if speculation else "Unknown",
            violations=tuple(found for found in known.assessment.violations if is_about_pair(found)),
            speeds={} if plan is None else plan.speeds,
        )

    def forget(self, key: PoolKey) -> None:
        """Drop a pool that is gone."""
        self._judged.pop(key, None)
        self._known.pop(key, None)

    def forget_object(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._parsed.pop(uid, None)

    async def _read_configs(
        self,
        pool: LLMServingPool,
        pairs: Mapping[str, SpeculativePair],
    ) -> dict[Repository, Mapping[str, Any] | None]:
        pair = pair_of(pool, pairs)
        repositories = repositories_of(pool, None if pair is None else pair.spec)
        return {repository: await self._configs.read(repository) for repository in repositories}

    async def _judge(self, key: PoolKey, pool: LLMServingPool) -> Judgement:
        """The pool by itself; worked out again only if something that it comes from has changed."""
        catalog, pairs = self._catalog(), self._pairs(pool)
        configs = await self._read_configs(pool, pairs)
        known = self._judged.get(key)
        if known is None or (known.pool, known.catalog, known.configs, known.pairs) != (pool, catalog, configs, pairs):
            known = self._judged[key] = judge(pool, catalog=catalog, configs=configs, pairs=pairs)
        return known

    def _pairs(self, pool: LLMServingPool) -> dict[str, SpeculativePair]:
        """The SpeculativePairs that the pool may name; none where it names none."""
        if pool.spec.speculative_pair_ref is None:
            return {}
        parsed = [self._parse(SpeculativePair, raw) for raw in self._view.pairs_in(pool.metadata.namespace)]
        return {pair.metadata.name: pair for pair in parsed if not isinstance(pair, ValidationError)}

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

    async def _owners(
        self,
        key: PoolKey,
        raw: RawObject,
        *,
        pool: LLMServingPool,
    ) -> dict[Name, LLMServingPool]:
        """Who has the names of the pool; nobody has to be asked where no other pool wants one of them."""
        rivals = self._rivals(key)
        if not rivals:
            return {}
        claims = [await self._claim(rival) for rival in sorted(rivals)]
        own = Claim(pool=pool, served_before=self._last_valid(raw))
        return name_owners([own, *(claim for claim in claims if claim is not None)])

    def _rivals(self, key: PoolKey) -> set[PoolKey]:
        """Pools that want a name of the pool, those that want a name of theirs, and so on."""
        found, fresh = {key}, {key}
        while fresh:
            fresh = set().union(*(self._view.names.sharing(each) for each in fresh)) - found
            found |= fresh
        return found - {key}

    async def _claim(self, key: PoolKey) -> Claim | None:
        """What another pool serves by: its spec if that is valid, else the last one that was; None if none ever was."""
        raw = self._view.pools.get(key)
        if raw is None:
            return None
        before, pool = self._last_valid(raw), self._parse(LLMServingPool, raw)
        if isinstance(pool, ValidationError) or (await self._judge(key, pool)).violations:
            pool = before
        return None if pool is None else Claim(pool=pool, served_before=before)

    def _last_valid(self, raw: RawObject) -> LLMServingPool | None:
        return _last_valid(raw, self._noted(raw))

    def _last_valid_pairs(self, raw: RawObject) -> dict[str, SpeculativePair]:
        """The pair that the pool's objects were made with, by name; none where they were made without one."""
        pool, text = self._last_valid(raw), self._noted(raw).get(ANNOTATION_LAST_VALID_PAIR)
        reference = None if pool is None else pool.spec.speculative_pair_ref
        if reference is None or text is None:
            return {}
        metadata = {"name": reference.name, "namespace": key_of(raw).namespace}
        try:
            return {reference.name: SpeculativePair.parse({"metadata": metadata, "spec": json.loads(text)})}
        except ValueError:  # edited by hand, or written by another version of Mixserve
            return {}

    def _noted(self, raw: RawObject) -> Mapping[str, str]:
        """What is noted on the pool's ServiceAccount; nothing where that is somebody else's."""
        account = self._view.get(SERVICE_ACCOUNTS, key_of(raw))
        metadata: Mapping[str, Any] = {} if account is None else account["metadata"]
        is_own = any(owner["uid"] == raw["metadata"]["uid"] for owner in metadata.get("ownerReferences", ()))
        annotations: Mapping[str, str] = metadata.get("annotations", {}) if is_own else {}
        return annotations

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


def _last_valid(raw: RawObject, noted: Mapping[str, str]) -> LLMServingPool | None:
    """The pool as it was when its ServiceAccount was last applied."""
    try:
        spec = json.loads(noted.get(ANNOTATION_LAST_VALID_SPEC, "null"))
        return LLMServingPool.parse({**raw, "spec": spec, "status": None})
    except ValueError:  # edited by hand, or written by another version of Mixserve
        return None


def _assess(judgement: Judgement, owners: Mapping[Name, LLMServingPool]) -> Assessment:
    pool, found = judgement.resolved, findings(judgement, owners)
    parts = PlanParts(pool, judgement.catalog, judgement.facts, judgement.speculation)
    return Assessment(
        violations=found.violations,
        notes=found.notes,
        advise=adapter_for(pool.spec.engine.type).advise,
        plan=None if found.violations else _plan(parts),
    )


def _plan(parts: PlanParts) -> PoolPlan:
    pool, catalog, speculation = parts.pool, parts.catalog, parts.speculation
    adapter, variants = adapter_for(pool.spec.engine.type), pool.spec.variants
    desired = desired_objects(pool, catalog=catalog, facts_by_variant=parts.facts, speculation=speculation)
    return PoolPlan(
        pool=pool,
        objects=desired.objects,
        deployments={variant.name: deployment_name(pool, variant) for variant in variants},
        priors={variant.name: parts.prior(variant) for variant in variants},
        prices={v.accelerator: catalog.accelerators[v.accelerator].spec.price_per_hour for v in variants},
        endpoint=MetricsEndpoint(port=adapter.port, page=adapter.metrics_page(pool.spec.engine.version)),
        speculation=speculation,
        speeds={v.name: parts.speed(v, speculation[v.name]) for v in variants if v.name in speculation},
    )


def _fits(parts: PlanParts) -> bool:
    """Whether no variant is known not to fit."""
    plans = [parts.memory(variant) for variant in parts.pool.spec.variants]
    return all(plan is None or plan.fits for plan in plans)
