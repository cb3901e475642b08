"""What is known of checkpoints when a pool is about to be stored: nothing is read for it that takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.controller.checkpoints.checkpoints import SWITCHES, switched_off
from mixserve.plan.absence import Absence, Outlook

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.controller.checkpoints.keeping import Keeper
    from mixserve.observe.model_files import ModelConfigReader
    from mixserve.plan.absence import Absences
    from mixserve.plan.model_source import Repository


class KnownAtAdmission:
    """What the leading operator has kept, and what lies on its own disk; a `CheckpointReader` for one pool's review.

    Args:
        host: reads `host://`.
        keeper: has what was kept of the pool.
        kinds: of sources that the leading operator reads.
    """

    def __init__(self, host: ModelConfigReader, keeper: Keeper, *, kinds: Collection[str]) -> None:
        self._host = host
        self._keeper = keeper
        self._kinds = kinds
        self._absences: dict[Repository, Absence] = {}

    async def read(self, repository: Repository, pool: LLMServingPool) -> Mapping[str, Any] | None:
        """The decoded config.json of a checkpoint; None where it is not known yet."""
        kind = repository.source.partition("://")[0]
        if kind not in SWITCHES:
            return await self._host.read(repository)
        learned = self._keeper.recall(pool, repository)
        if learned is not None:
            return learned.config
        self._absences[repository] = (
            Absence(
                outlook=Outlook.SOON,
                detail=f"config.json of {repository} is read when the pool is stored",
                remedy="nothing has to be done",
            )
            if kind in self._kinds
            else switched_off(repository, kind)
        )
        return None

    def absences(self, _pool: LLMServingPool) -> Absences:
        """Why checkpoints are not known."""
        return dict(self._absences)

    def keep_only(self, repositories: Collection[Repository], pool: LLMServingPool) -> None:
        """Nothing: it is asked about one pool, once."""
