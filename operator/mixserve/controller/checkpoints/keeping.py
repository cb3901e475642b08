"""What was learned of a pool's checkpoints, in a ConfigMap of the pool: a restart has to read nothing again.

Without it a restarted operator would not know for a moment what it knew before, and a plan without numbers is another
plan: pods would be replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_KEPT
from mixserve.apply.objects import ObjectWriter
from mixserve.apply.resources import CONFIG_MAPS
from mixserve.controller.gathering import owned_by
from mixserve.controller.object_cache import PoolKey
from mixserve.observe.kept_files import kept_data, kept_name, recall
from mixserve.plan.objects import pool_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.observe.kept_files import Learned
    from mixserve.plan.model_source import Repository


class Keeper:
    """Keeps what was learned.

    Args:
        connection: to the API server.
        view: the ConfigMaps as they are.
    """

    def __init__(self, connection: Connection, *, view: ClusterView) -> None:
        self._view = view
        self._writer = ObjectWriter(connection)

    def recall(self, pool: LLMServingPool, repository: Repository) -> Learned | None:
        """What is kept of a checkpoint, or None."""
        return recall(self._data(pool), repository)

    def lacks(self, pool: LLMServingPool, learned: Collection[Learned]) -> bool:
        """Whether something of this is not kept as it is."""
        data = self._data(pool)
        return any(data.get(name) != text for name, text in kept_data(learned).items())

    async def keep(self, pool: LLMServingPool, learned: Collection[Learned]) -> None:
        """Keep this, and of the pool nothing else.

        Raises:
            ApiError: the API server refused or did not answer, or the name is somebody else's.
        """
        desired = pool_object(
            pool,
            api_version="v1",
            kind=CONFIG_MAPS.kind,
            name=kept_name(pool.metadata.name),
            annotations={ANNOTATION_KEPT: "model-files"},
            data=kept_data(learned),
        )
        _, now = await self._writer.bring(desired.body, live=self._live(pool), desired_hash=desired.desired_hash)
        self._view.put(CONFIG_MAPS, now)

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._writer.forget(uid)

    def _live(self, pool: LLMServingPool) -> Mapping[str, Any] | None:
        return self._view.get(CONFIG_MAPS, PoolKey(pool.metadata.namespace, kept_name(pool.metadata.name)))

    def _data(self, pool: LLMServingPool) -> Mapping[str, str]:
        live = self._live(pool)
        if live is None or not owned_by(pool.metadata.uid, [live]):
            return {}
        data: Mapping[str, str] = live.get("data") or {}
        return data
