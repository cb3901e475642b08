"""All checkpoints of all pools: what is known of them, without ever waiting.

- `host://` is looked at anew each time, which costs a few `stat`.
- A commit on the hub never changes: it is read once.
- The content of a volume may change, and only a pod can see it: it is read once for each path, and again when people
  ask for it by the annotation `mixserve.dev/read-model-files`, not with every edit of the pool.

What was learned is kept in a ConfigMap of the pool (`keeping`), so that neither is read again after a restart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.names import ANNOTATION_READ_AGAIN
from mixserve.apply.errors import ApiError
from mixserve.controller.checkpoints.reading import Reading
from mixserve.controller.object_cache import PoolKey
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.facts import GIVE_FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.controller.checkpoints.keeping import Keeper
    from mixserve.controller.checkpoints.source_reader import SourceReader
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.observe.kept_files import Learned
    from mixserve.observe.model_files import ModelConfigReader
    from mixserve.plan.absence import Absences
    from mixserve.plan.model_source import Repository

_log = structlog.get_logger(__name__)

# After the API server did not take what was learned.
_KEEP_AGAIN_S = 30.0

SWITCHES = {"hf": "hub.enabled", "pvc": "volumes.enabled"}
"""The chart's values that switch reading off, by the kind of source."""


class Checkpoints:
    """What is known of checkpoints; a `CheckpointReader`.

    Args:
        view: the pools as they are.
        host: reads `host://`.
        sources: read the others, by the part of the source before `://`; one that is not here is switched off.
        keeper: keeps what was learned.
        look: is asked for a pool of which something else is known.
    """

    def __init__(
        self,
        view: ClusterView,
        *,
        host: ModelConfigReader,
        sources: Mapping[str, SourceReader],
        keeper: Keeper,
        look: Callable[[PoolKey], None],
    ) -> None:
        self._view = view
        self._host = host
        self._sources = sources
        self._keeper = keeper
        self._look = look
        self._readings: dict[str, dict[Repository, Reading]] = {}
        self._off: dict[str, dict[Repository, Absence]] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}

    async def read(self, repository: Repository, pool: LLMServingPool) -> Mapping[str, Any] | None:
        """The decoded config.json of a checkpoint that a pool names; None where it is not known, or not yet."""
        kind = repository.source.partition("://")[0]
        if kind not in SWITCHES:
            return await self._host.read(repository)
        source = self._sources.get(kind)
        if source is None:
            return self._read_before(repository, pool)
        reading = self._reading(repository, pool, source)
        reading.ask(pool, version=self._version(pool))
        self._keep_soon(pool)
        return None if reading.learned is None else reading.learned.config

    def absences(self, pool: LLMServingPool) -> Absences:
        """Why checkpoints of the pool are not known."""
        readings, off = self._readings.get(pool.metadata.uid, {}), self._off.get(pool.metadata.uid, {})
        known = {repository: reading.absence for repository, reading in readings.items()}
        return {**off, **{repository: absence for repository, absence in known.items() if absence is not None}}

    def keep_only(self, repositories: Collection[Repository], pool: LLMServingPool) -> None:
        """Forget what else the pool has ever asked for: it would be tried again for as long as there is the pool."""
        known, off = self._readings.get(pool.metadata.uid, {}), self._off.get(pool.metadata.uid, {})
        for repository in known.keys() - set(repositories):
            known.pop(repository).stop()
        for repository in off.keys() - set(repositories):
            del off[repository]

    def forget(self, uid: str) -> None:
        """Drop an object that is gone, or a pool."""
        for reading in self._readings.pop(uid, {}).values():
            reading.stop()
        self._off.pop(uid, None)
        task = self._keeping.pop(uid, None)
        if task is not None:
            task.cancel()
        self._keeper.forget(uid)

    def close(self) -> None:
        """End all reading."""
        for uid in list(self._readings):
            self.forget(uid)

    def _reading(self, repository: Repository, pool: LLMServingPool, source: SourceReader) -> Reading:
        readings = self._readings.setdefault(pool.metadata.uid, {})
        if repository not in readings:
            key = PoolKey(pool.metadata.namespace, pool.metadata.name)
            learned = self._keeper.recall(pool, repository)
            readings[repository] = Reading(repository, source, learned=learned, news=lambda: self._look(key))
        return readings[repository]

    def _read_before(self, repository: Repository, pool: LLMServingPool) -> Mapping[str, Any] | None:
        """What was read before reading was switched off: pods were made with it, and would be replaced without."""
        learned = self._keeper.recall(pool, repository)
        if learned is not None:
            return learned.config
        kind = repository.source.partition("://")[0]
        self._off.setdefault(pool.metadata.uid, {})[repository] = switched_off(repository, kind)
        return None

    def _version(self, pool: LLMServingPool) -> str:
        raw = self._view.pools.get(PoolKey(pool.metadata.namespace, pool.metadata.name)) or {"metadata": {}}
        return str((raw["metadata"].get("annotations") or {}).get(ANNOTATION_READ_AGAIN, ""))

    def _keep_soon(self, pool: LLMServingPool) -> None:
        """Keep what was learned, in the background, where it is not kept."""
        uid, learned = pool.metadata.uid, self._learned(pool)
        if uid not in self._keeping and learned and self._keeper.lacks(pool, learned):
            self._keeping[uid] = asyncio.create_task(self._keep(pool), name=f"keep {pool.metadata.name}")

    async def _keep(self, pool: LLMServingPool) -> None:
        try:
            await self._keeper.keep(pool, self._learned(pool))
        except ApiError as error:
            _log.warning("checkpoints_not_kept", pool=pool.metadata.name, error=str(error))
            await asyncio.sleep(_KEEP_AGAIN_S)
        finally:
            self._keeping.pop(pool.metadata.uid, None)

    def _learned(self, pool: LLMServingPool) -> list[Learned]:
        """What is known of the checkpoints that the pool names."""
        readings = self._readings.get(pool.metadata.uid, {}).values()
        return [reading.learned for reading in readings if reading.learned is not None]


def switched_off(repository: Repository, kind: str) -> Absence:
    """Nobody reads sources of this kind."""
    return Absence(
        outlook=Outlook.NEVER,
        detail=f"config.json of {repository} can't be read by the operator: {SWITCHES[kind]} of its chart is false",
        remedy=GIVE_FACTS,
    )
