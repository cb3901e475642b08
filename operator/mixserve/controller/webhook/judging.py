"""Is a pool right? Judged as the reconciler does, from what the API server says at that moment.

There is no cache. One that lags behind would refuse a pool whose QuantizationFormat was applied just before it, with
the same `kubectl apply`; an operator that stands by has none; and specs are written seldom.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.names import LABEL_POOL
from mixserve.api.pool import LLMServingPool
from mixserve.apply.resources import ACCELERATORS, FORMATS, POOLS, SERVICE_ACCOUNTS
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import key_of
from mixserve.controller.planning import Planner
from mixserve.observe.model_files import ModelConfigReader
from mixserve.validate.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.validate.violation import Note, Violation


class Judge:
    """Judges pools that nobody has stored yet.

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
        return assessment.violations, assessment.notes

    async def _view_with(self, pool: Mapping[str, Any]) -> ClusterView:
        """The catalogue and the pools of the namespace, with this pool as it shall be."""
        namespace, view = key_of(pool).namespace, ClusterView()
        formats, accelerators, pools = await asyncio.gather(
            self._list(FORMATS),
            self._list(ACCELERATORS),
            self._list(POOLS, namespace=namespace),
        )
        others = [other for other in pools if key_of(other) != key_of(pool)]
        for resource, objects in ((FORMATS, formats), (ACCELERATORS, accelerators), (POOLS, [*others, pool])):
            for each in objects:
                view.put(resource, each)
        if view.names.sharing(key_of(pool)):
            # Who of them serves already: noted on their ServiceAccounts.
            for account in await self._list(SERVICE_ACCOUNTS, namespace=namespace, label_selector=LABEL_POOL):
                view.put(SERVICE_ACCOUNTS, account)
        return view

    async def _list(self, resource: Resource, **where: str) -> list[dict[str, Any]]:
        listed = await self._connection.get(resource, **where)
        items: list[dict[str, Any]] = listed["items"]
        return items
