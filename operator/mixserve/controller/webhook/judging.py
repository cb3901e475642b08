"""Is a pool, a pair or a policy right? Judged as the reconciler does, from what the API server says at that moment.

There is no cache. One that lags behind would refuse a pool whose QuantizationFormat was applied just before it, with
the same `kubectl apply`; an operator that stands by has none; and specs are written seldom.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.names import LABEL_POOL, Reason
from mixserve.api.pool import LLMServingPool
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.apply.errors import NotFound
from mixserve.apply.resources import ACCELERATORS, CONFIG_MAPS, FORMATS, PAIRS, POLICIES, POOLS, SERVICE_ACCOUNTS
from mixserve.controller.checkpoints.at_admission import KnownAtAdmission
from mixserve.controller.checkpoints.keeping import Keeper
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import key_of
from mixserve.controller.parsed_specs import ParsedSpecs
from mixserve.controller.planning import Planner
from mixserve.observe.kept_files import kept_name
from mixserve.observe.model_files import ModelConfigReader
from mixserve.validate.policy_checks import judge_policy
from mixserve.validate.unreadable import unreadable
from mixserve.validate.violation import Note

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.validate.violation import Violation


class Judge:
    """Judges pools, pairs and policies that nobody has stored yet.

    Args:
        connection: to the API server.
        kinds: of sources whose checkpoints the leading operator reads.
        policies: whether there may be RoutingPolicies.
    """

    def __init__(self, connection: Connection, *, kinds: Collection[str] = (), policies: bool = False) -> None:
        self._connection = connection
        self._kinds = kinds
        self._has_policies = policies
        self._host = ModelConfigReader()

    async def judge(self, pool: Mapping[str, Any]) -> tuple[tuple[Violation, ...], tuple[Note, ...]]:
        """All that is wrong with a pool, and what there is to know about it.

        Raises:
            ApiError: the API server refused or did not answer.
        """
        try:
            LLMServingPool.parse(pool)
        except ValidationError as error:  # before anything looks into it
            return unreadable(error), ()
        view = await self._view_with(pool)
        assessment = await self._planner(view).assess(key_of(pool), pool)
        # That its files will be read need not be told of every pool.
        notes = (note for note in assessment.notes if note.reason is not Reason.READING_MODEL_FILES)
        return _without_missing_pair(assessment.violations, notes)

    async def judge_pair(self, pair: Mapping[str, Any]) -> tuple[tuple[Violation, ...], tuple[Note, ...]]:
        """All that is wrong with a pair by itself; what pools that name it would miss is only noted.

        They go on as they are, as when an entry of the catalogue changes, so an edit of the pair can come before that
        of the pools.

        Raises:
            ApiError: the API server refused or did not answer.
        """
        try:
            SpeculativePair.parse(pair)
        except ValidationError as error:
            return unreadable(error), ()
        namespace = key_of(pair).namespace
        pools, pairs, formats, accelerators = await asyncio.gather(
            self._list(POOLS, namespace=namespace),
            self._list(PAIRS, namespace=namespace),
            self._list(FORMATS),
            self._list(ACCELERATORS),
        )
        others = [other for other in pairs if key_of(other) != key_of(pair)]
        named = [pool for pool in pools if _pair_of(pool) == key_of(pair).name]
        kept = [found for pool in named if (found := await self._kept(pool)) is not None]
        there: dict[Resource, Iterable[Mapping[str, Any]]] = {
            FORMATS: formats,
            ACCELERATORS: accelerators,
            POOLS: pools,
            CONFIG_MAPS: kept,
        }
        before = await self._violations(named, {**there, PAIRS: pairs})
        after = await self._violations(named, {**there, PAIRS: [*others, pair]})
        return (), tuple(
            _broken(name, violation)
            for name, found in after.items()
            for violation in found
            if violation not in before[name]
        )

    async def judge_policy(self, policy: Mapping[str, Any]) -> tuple[tuple[Violation, ...], tuple[Note, ...]]:
        """All that is wrong with a policy, and what there is to know about it: pools that it names may come later.

        Raises:
            ApiError: the API server refused or did not answer.
        """
        try:
            parsed = RoutingPolicy.parse(policy)
        except ValidationError as error:
            return unreadable(error), ()
        namespace, specs = key_of(policy).namespace, ParsedSpecs()
        pools, policies = await asyncio.gather(
            self._list(POOLS, namespace=namespace), self._list(POLICIES, namespace=namespace)
        )
        found = judge_policy(
            parsed,
            pools=[each for raw in pools if (each := specs.readable(LLMServingPool, raw)) is not None],
            policies=[each for raw in policies if (each := specs.readable(RoutingPolicy, raw)) is not None],
        )
        return found.violations, found.notes

    async def _violations(
        self,
        pools: Iterable[Mapping[str, Any]],
        there: Mapping[Resource, Iterable[Mapping[str, Any]]],
    ) -> dict[str, tuple[Violation, ...]]:
        """What is wrong with each of the pools, by its name, if there are these objects."""
        planner = self._planner(_view(there))
        return {key_of(pool).name: (await planner.assess(key_of(pool), pool)).violations for pool in pools}

    def _planner(self, view: ClusterView) -> Planner:
        known = KnownAtAdmission(self._host, Keeper(self._connection, view=view), kinds=self._kinds)
        return Planner(view, known, ParsedSpecs())

    async def _view_with(self, pool: Mapping[str, Any]) -> ClusterView:
        """The catalogue, and the pools and pairs of the namespace, with this pool as it shall be."""
        namespace = key_of(pool).namespace
        formats, accelerators, pools = await asyncio.gather(
            self._list(FORMATS),
            self._list(ACCELERATORS),
            self._list(POOLS, namespace=namespace),
        )
        pairs = [] if _pair_of(pool) is None else await self._list(PAIRS, namespace=namespace)
        others = [other for other in pools if key_of(other) != key_of(pool)]
        policies = await self._list(POLICIES, namespace=namespace) if self._has_policies else []
        view = _view(
            {FORMATS: formats, ACCELERATORS: accelerators, PAIRS: pairs, POOLS: [*others, pool], POLICIES: policies}
        )
        if view.names.sharing(key_of(pool)):
            # Who of them serves already: noted on their ServiceAccounts.
            for account in await self._list(SERVICE_ACCOUNTS, namespace=namespace, label_selector=LABEL_POOL):
                view.put(SERVICE_ACCOUNTS, account)
        kept = await self._kept(pool)
        if kept is not None:
            view.put(CONFIG_MAPS, kept)
        return view

    async def _kept(self, pool: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What is known of the checkpoints of a pool that was there before; None where nothing is."""
        namespace, name = key_of(pool)
        if not self._kinds or not pool["metadata"]["uid"]:
            return None
        try:
            found: Mapping[str, Any] = await self._connection.get(
                CONFIG_MAPS, namespace=namespace, name=kept_name(name)
            )
        except NotFound:
            return None
        return found

    async def _list(self, resource: Resource, **where: str) -> list[dict[str, Any]]:
        listed = await self._connection.get(resource, **where)
        items: list[dict[str, Any]] = listed["items"]
        return items


def _view(objects: Mapping[Resource, Iterable[Mapping[str, Any]]]) -> ClusterView:
    view = ClusterView()
    for resource, listed in objects.items():
        for each in listed:
            view.put(resource, each)
    return view


def _pair_of(pool: Mapping[str, Any]) -> str | None:
    """The name of the pair that a pool names."""
    reference = pool["spec"].get("speculativePairRef") or {}
    name: str | None = reference.get("name")
    return name


def _without_missing_pair(
    violations: Iterable[Violation],
    notes: Iterable[Note],
) -> tuple[tuple[Violation, ...], tuple[Note, ...]]:
    """A pair may come after the pools that name it, as tools sort manifests by kind: until then they wait."""
    found = tuple(violations)
    missing = [one for one in found if one.reason is Reason.UNKNOWN_SPECULATIVE_PAIR]
    waiting = (Note(one.reason, one.field_path, one.cause, "apply it: the pool waits for it") for one in missing)
    return tuple(one for one in found if one not in missing), (*notes, *waiting)


def _broken(pool: str, violation: Violation) -> Note:
    return Note(
        violation.reason,
        "spec",
        f"the pool {pool} can't go with it, and would keep the pair as it was: {violation.field_path}: "
        f"{violation.cause}",
        violation.remedy,
    )
