"""Is a pool or a pair right? Judged as the reconciler does, from what the API server says at that moment.

There is no cache. One that lags behind would refuse a pool whose QuantizationFormat was applied just before it, with
the same `kubectl apply`; an operator that stands by has none; and specs are written seldom.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.names import LABEL_POOL, Reason
from mixserve.api.pool import LLMServingPool
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.apply.resources import ACCELERATORS, FORMATS, PAIRS, POOLS, SERVICE_ACCOUNTS
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import key_of
from mixserve.controller.planning import Planner
from mixserve.observe.model_files import ModelConfigReader
from mixserve.validate.unreadable import unreadable
from mixserve.validate.violation import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.validate.violation import Violation


class Judge:
    """Judges pools and pairs that nobody has stored yet.

    Args:
        connection: to the API server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._configs = ModelConfigReader()

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
        assessment = await Planner(view, self._configs).assess(key_of(pool), pool)
        return _without_missing_pair(assessment.violations, assessment.notes)

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
        pools, pairs, *catalog = await asyncio.gather(
            self._list(POOLS, namespace=namespace),
            self._list(PAIRS, namespace=namespace),
            self._list(FORMATS),
            self._list(ACCELERATORS),
        )
        others = [other for other in pairs if key_of(other) != key_of(pair)]
        before = await self._violations(pools, pairs, *catalog, about=pair)
        after = await self._violations(pools, [*others, pair], *catalog, about=pair)
        return (), tuple(
            _broken(name, violation)
            for name, found in after.items()
            for violation in found
            if violation not in before[name]
        )

    async def _violations(
        self,
        pools: Sequence[Mapping[str, Any]],
        pairs: Iterable[Mapping[str, Any]],
        formats: Iterable[Mapping[str, Any]],
        accelerators: Iterable[Mapping[str, Any]],
        *,
        about: Mapping[str, Any],
    ) -> dict[str, tuple[Violation, ...]]:
        """What is wrong with each pool that names the pair `about`, if the namespace has these pairs."""
        view = _view({FORMATS: formats, ACCELERATORS: accelerators, PAIRS: pairs, POOLS: pools})
        named = [pool for pool in pools if _pair_of(pool) == key_of(about).name]
        planner = Planner(view, self._configs)
        return {key_of(pool).name: (await planner.assess(key_of(pool), pool)).violations for pool in named}

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
        view = _view({FORMATS: formats, ACCELERATORS: accelerators, PAIRS: pairs, POOLS: [*others, pool]})
        if view.names.sharing(key_of(pool)):
            # Who of them serves already: noted on their ServiceAccounts.
            for account in await self._list(SERVICE_ACCOUNTS, namespace=namespace, label_selector=LABEL_POOL):
                view.put(SERVICE_ACCOUNTS, account)
        return view

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
