"""From a raw pool to what it should consist of, worked out anew only when something that it depends on has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.engine import EngineType
from mixserve.api.pool import LLMServingPool
from mixserve.api.quantization import QuantizationFormat
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.apply.last_valid import LastValid, last_valid
from mixserve.apply.late_facts import MadeWith, numbers_for_objects
from mixserve.apply.resources import DEPLOYMENTS, SERVICE_ACCOUNTS
from mixserve.catalog.built_in import Catalog
from mixserve.controller.gathering import owned_by
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.pool_plan import Assessment, PoolPlan, assessment_of, fits, plan_of
from mixserve.engines.registry import adapter_for
from mixserve.plan.model_source import Repository, repositories_of
from mixserve.plan.placement import PlacementError
from mixserve.plan.speculation import match_of, pair_of
from mixserve.status.pair_status import PairAssessment
from mixserve.validate.about_pair import is_about_pair
from mixserve.validate.judgement import Judgement, judge
from mixserve.validate.name_checks import Claim, name_owners
from mixserve.validate.policy_names import names_taken_by_policies
from mixserve.validate.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.controller.checkpoints.reader import CheckpointReader
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import ObjectCache
    from mixserve.controller.parsed_specs import ParsedSpecs
    from mixserve.validate.name_checks import Name
    from mixserve.validate.violation import Violation

    RawObject = Mapping[str, Any]


@dataclass(frozen=True)
class _Known:
    """An assessment, and all that it came from: the pool by itself, and who has the names that it wants."""

    judgement: Judgement
    owners: Mapping[Name, LLMServingPool]
    routed: tuple[Violation, ...]
    assessment: Assessment


class Planner:
    """Judges pools and plans them.

    Args:
        view: the catalogue, and the pools that may want the same names.
        configs: reads checkpoints.
        specs: parses, for others as well.
    """

    def __init__(self, view: ClusterView, configs: CheckpointReader, specs: ParsedSpecs) -> None:
        self._view = view
        self._configs = configs
        self._specs = specs
        self._judged: dict[PoolKey, Judgement] = {}
        self._known: dict[PoolKey, _Known] = {}
        self._catalog_known: tuple[tuple[int, int], Catalog] | None = None

    async def assess(self, key: PoolKey, raw: RawObject) -> Assessment:
        """What is to be thought of the pool, and made of it."""
        pool = self._specs.get(LLMServingPool, raw)
        if isinstance(pool, ValidationError):
            return Assessment(violations=unreadable(pool), advise=adapter_for(EngineType.VLLM).advise)
        judgement, owners = await self._judge(key, pool), await self._owners(key, raw, pool=pool)
        routed = tuple(names_taken_by_policies(pool, self._policies(key.namespace)))
        known = self._known.get(key)
        if known is None or known.judgement is not judgement or (known.owners, known.routed) != (owners, routed):
            served = self._last_valid(raw)
            self._configs.keep_only(_named(judgement, served), pool)
            made = self._made_with(raw, judgement, served)
            assessment = assessment_of(judgement, owners, made, routed=routed)
            known = self._known[key] = _Known(judgement, owners, routed, assessment)
        return known.assessment

    async def recover(self, raw: RawObject) -> PoolPlan | None:
        """The plan that a pool's objects were made from, for an operator that did not make them itself.

        Returns:
            None where the pool has no objects yet, or where by today's catalogue nothing of the kind could be made, or
            does not fit: then what runs is left as it is.
        """
        served = self._last_valid(raw)
        if served is None or (served.pool.spec.speculative_pair_ref is not None and not served.pairs):
            return None
        pool, pairs = served.pool, served.pairs
        configs, absences = await self._read_configs(pool, pairs), self._configs.absences(pool)
        judgement = judge(pool, catalog=self._catalog(), configs=configs, absences=absences, pairs=pairs)
        if judgement.waits:
            return None
        try:
            return plan_of(judgement, self._made_with(raw, judgement, served)) if fits(judgement) else None
        except PlacementError:
            return None

    def pair_assessment(self, key: PoolKey) -> PairAssessment | None:
        """What the last assessment of a pool says of its SpeculativePair; None for a pool that had none yet."""
        known = self._known.get(key)
        if known is None:
            return None
        pool, speculation = known.judgement.pool, known.judgement.speculation.values()
        pair, plan = pair_of(pool, known.judgement.pairs), known.assessment.plan
        return PairAssessment(
            generations=(pool.metadata.generation, None if pair is None else pair.metadata.generation),
            tokenizers_match=match_of(speculation).verdict.value if speculation else "Unknown",
            violations=tuple(found for found in known.assessment.violations if is_about_pair(found)),
            speeds={} if plan is None else plan.speeds,
        )

    def forget(self, key: PoolKey) -> None:
        """Drop a pool that is gone."""
        self._judged.pop(key, None)
        self._known.pop(key, None)

    async def _read_configs(
        self,
        pool: LLMServingPool,
        pairs: Mapping[str, SpeculativePair],
    ) -> dict[Repository, Mapping[str, Any] | None]:
        return {each: await self._configs.read(each, pool) for each in _repositories(pool, pairs)}

    async def _judge(self, key: PoolKey, pool: LLMServingPool) -> Judgement:
        """The pool by itself; worked out again only if something that it comes from has changed."""
        catalog, pairs = self._catalog(), self._pairs(pool)
        configs = await self._read_configs(pool, pairs)
        known, absences = self._judged.get(key), self._configs.absences(pool)
        found = (pool, catalog, configs, absences, pairs)
        if known is None or (known.pool, known.catalog, known.configs, known.absences, known.pairs) != found:
            known = self._judged[key] = judge(pool, catalog=catalog, configs=configs, absences=absences, pairs=pairs)
        return known

    def _pairs(self, pool: LLMServingPool) -> dict[str, SpeculativePair]:
        """The SpeculativePairs that the pool may name; none where it names none."""
        if pool.spec.speculative_pair_ref is None:
            return {}
        parsed = (self._specs.readable(SpeculativePair, raw) for raw in self._view.pairs_in(pool.metadata.namespace))
        return {pair.metadata.name: pair for pair in parsed if pair is not None}

    def _made_with(self, raw: RawObject, judgement: Judgement, served: LastValid | None) -> MadeWith:
        owned = owned_by(raw["metadata"]["uid"], self._view.owned(key_of(raw)))
        deployments = {obj["metadata"]["name"]: obj for obj in owned if obj["kind"] == DEPLOYMENTS.kind}
        return numbers_for_objects(
            judgement.resolved,
            catalog=judgement.catalog,
            known=MadeWith(judgement.facts, judgement.speculation),
            served=served,
            deployments=deployments,
        )

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
        parsed = (self._specs.readable(model, raw) for raw in cache.all())
        return {entry.metadata.name: entry for entry in parsed if entry is not None}

    def _policies(self, namespace: str) -> list[RoutingPolicy]:
        parsed = (self._specs.readable(RoutingPolicy, raw) for raw in self._view.policies_in(namespace))
        return [policy for policy in parsed if policy is not None]

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
        own = Claim(pool=pool, served_before=self._served(raw))
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
        before, pool = self._served(raw), self._specs.readable(LLMServingPool, raw)
        if pool is None or (await self._judge(key, pool)).violations:
            pool = before
        return None if pool is None else Claim(pool=pool, served_before=before)

    def _last_valid(self, raw: RawObject) -> LastValid | None:
        return last_valid(raw, self._view.get(SERVICE_ACCOUNTS, key_of(raw)))

    def _served(self, raw: RawObject) -> LLMServingPool | None:
        found = self._last_valid(raw)
        return None if found is None else found.pool


def _named(judgement: Judgement, served: LastValid | None) -> frozenset[Repository]:
    """The checkpoints of a pool and of what its objects were made from, each with its pair's draft."""
    wanted = _repositories(judgement.pool, judgement.pairs)
    return wanted if served is None else wanted | _repositories(served.pool, served.pairs)


def _repositories(pool: LLMServingPool, pairs: Mapping[str, SpeculativePair]) -> frozenset[Repository]:
    pair = pair_of(pool, pairs)
    return repositories_of(pool, None if pair is None else pair.spec)
