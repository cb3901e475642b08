"""One checkpoint of one pool: read in the background, again after failures, and when people ask for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.observe.kept_files import Learned
from mixserve.plan.absence import Absence, Outlook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.controller.checkpoints.source_reader import SourceReader
    from mixserve.plan.model_source import Repository

_log = structlog.get_logger(__name__)


class Reading:
    """What is known of a checkpoint.

    Args:
        repository: the checkpoint.
        source: reads it.
        learned: what was known before, or None.
        news: called when something else is known.

    Attributes:
        learned: what was read, or None.
        absence: why there is nothing, or None.
    """

    def __init__(
        self,
        repository: Repository,
        source: SourceReader,
        *,
        learned: Learned | None,
        news: Callable[[], None],
    ) -> None:
        self.learned = learned
        self.absence: Absence | None = None
        self._repository = repository
        self._source = source
        self._news = news
        self._asked: tuple[int, str] | None = None
        self._task: asyncio.Task[None] | None = None

    def ask(self, pool: LLMServingPool, *, version: str) -> None:
        """Read it unless it is known, or was already asked for by this spec and in this version."""
        if self.learned is not None and self.learned.version == version:
            return
        asked = (pool.metadata.generation, version)
        if self._asked == asked:
            return
        self.stop()
        self._asked = asked
        if self.learned is None:
            self.absence = self._source.being_read(self._repository, for_long=False)
        self._task = asyncio.create_task(self._read(pool, version), name=f"read {self._repository}")

    def stop(self) -> None:
        """End reading."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _read(self, pool: LLMServingPool, version: str) -> None:
        patience_ends_s = asyncio.get_running_loop().time() + self._source.patience_s
        failures = 0
        while True:
            found = await self._try(pool, version, patience_ends_s)
            if not isinstance(found, Absence):
                self._take(Learned(self._repository, found, version))
                return
            failures += 1
            lasts = found.outlook is not Outlook.LATER or failures >= self._source.tries
            if lasts:
                self._tell(found)
            if found.outlook is Outlook.NEVER:
                return
            await asyncio.sleep(self._source.pauses_s[min(failures, len(self._source.pauses_s)) - 1])

    async def _try(self, pool: LLMServingPool, version: str, patience_ends_s: float) -> Mapping[str, Any] | Absence:
        task = asyncio.create_task(self._source.read(pool, self._repository, version=version))
        try:
            left_s = patience_ends_s - asyncio.get_running_loop().time()
            await asyncio.wait({task}, timeout=max(0.0, left_s))
            if not task.done() and self._is_awaited:
                self._tell(self._source.being_read(self._repository, for_long=True))
            return await task
        except Exception as error:  # noqa: BLE001 - a checkpoint on which a reader stumbles must not stop its pool
            _log.exception("checkpoint_failed", source=self._repository.source)
            return Absence(
                outlook=Outlook.LATER,
                detail=f"reading {self._repository} failed with {type(error).__name__}",
                remedy="report it with the operator's log, or give the model's numbers in spec.model.facts",
            )
        finally:
            task.cancel()

    @property
    def _is_awaited(self) -> bool:
        return self.absence is not None and self.absence.outlook is Outlook.SOON

    def _take(self, learned: Learned) -> None:
        _log.info("checkpoint_read", source=self._repository.source, revision=self._repository.revision)
        self.learned, self.absence = learned, None
        self._news()

    def _tell(self, absence: Absence) -> None:
        if self.learned is not None:  # what was known before stays in force
            _log.warning("checkpoint_not_read_again", source=self._repository.source, detail=absence.detail)
        elif absence != self.absence:
            _log.info("checkpoint_not_read", source=self._repository.source, detail=absence.detail)
            self.absence = absence
            self._news()
