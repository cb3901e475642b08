"""What planning asks about checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.plan.absence import Absences
    from mixserve.plan.model_source import Repository


class CheckpointReader(Protocol):
    """Tells what is known of checkpoints; neither call waits for a network or a pod."""

    async def read(self, repository: Repository, pool: LLMServingPool, /) -> Mapping[str, Any] | None:
        """The decoded config.json of a checkpoint that a pool names; None where it is not known, or not yet."""
        ...

    def absences(self, pool: LLMServingPool, /) -> Absences:
        """Why checkpoints that the pool's last look asked for are not known."""
        ...

    def keep_only(self, repositories: Collection[Repository], pool: LLMServingPool, /) -> None:
        """Forget what else the pool has ever asked for: neither it nor its SpeculativePair names it any more."""
        ...
