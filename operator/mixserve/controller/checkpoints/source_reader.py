"""How checkpoints of one kind of source are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.plan.absence import Absence
    from mixserve.plan.model_source import Repository


class SourceReader(Protocol):
    """Reads checkpoints of one kind of source, as long as that takes.

    Attributes:
        patience_s: for how long a pool waits for a checkpoint, all tries together; it is read on after that.
        tries: failures after which a pool does not wait for the next one.
        pauses_s: between tries; the last one again and again.
    """

    patience_s: float
    tries: int
    pauses_s: tuple[float, ...]

    async def read(self, pool: LLMServingPool, repository: Repository, *, version: str) -> Mapping[str, Any] | Absence:
        """The decoded config.json of a checkpoint that a pool names, or why not.

        Args:
            pool: who asks.
            repository: what it names.
            version: the text by which people ask for another reading.
        """
        ...

    def being_read(self, repository: Repository, *, for_long: bool) -> Absence:
        """What there is to say while a checkpoint is being read, for longer than `patience_s` or not."""
        ...
