"""Is a pool right? Judged as the reconciler does, from what the API server says at that moment.

There is no cache. One that lags behind would refuse a pool whose QuantizationFormat was applied just before it, with
the same `kubectl apply`; an operator that stands by has none; and specs are written seldom.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.names import LABEL_POOL, Reason
from mixserve.api.pool import LLMServingPool
from mixserve.apply.errors import NotFound
from mixserve.apply.resources import ACCELERATORS, CONFIG_MAPS, FORMATS, POOLS, SERVICE_ACCOUNTS
from mixserve.controller.checkpoints.at_admission import KnownAtAdmission
from mixserve.controller.checkpoints.keeping import Keeper
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import key_of
from mixserve.controller.planning import Planner
from mixserve.observe.kept_files import kept_name
from mixserve.observe.model_files import ModelConfigReader
from mixserve.validate.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.validate.violation import Note, Violation


class Judge:
    """Judges pools that nobody has stored yet.

    Args:
        connection: to the API server.
        kinds: of sources whose checkpoints the leading operator reads.
    """

    def __init__(self, connection: Connection, *, kinds: Collection[str] = ()) -> None:
        self._connection = connection
        self._kinds = kinds
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
        known = KnownAtAdmission(self._host, Keeper(self._connection, view=view), kinds=self._kinds)
        assessment = await Planner(view, known).assess(key_of(pool), pool)
        # That its files will be read need not be told of every pool.
        notes = (note for note in assessment.notes if note.reason is not Reason.READING_MODEL_FILES)
        return assessment.violations, tuple(notes)

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
        await self._put_kept(view, pool)
        return view

    async def _put_kept(self, view: ClusterView, pool: Mapping[str, Any]) -> None:
        """What is known of the checkpoints of a pool that was there before."""
        namespace, name = key_of(pool)
        if not self._kinds or not pool["metadata"]["uid"]:
            return
        with contextlib.suppress(NotFound):
            kept = await self._connection.get(CONFIG_MAPS, namespace=namespace, name=kept_name(name))
            view.put(CONFIG_MAPS, kept)

    async def _list(self, resource: Resource, **where: str) -> list[dict[str, Any]]:
        listed = await self._connection.get(resource, **where)
        items: list[dict[str, Any]] = listed["items"]
        return items
