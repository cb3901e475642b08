"""The load of the namespace's engines, read from their metrics pages every second or so."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.engines.protocol import MetricsFormat
from mixserve.observe.scrape import scrape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from mixserve.engines.protocol import MetricsPage

_log = structlog.get_logger(__name__)

_NOT_YET = Missing(MissingReason.NOT_SCRAPED)
_ONE_READER = Missing(
    MissingReason.NOT_SCRAPED, "reading the page empties it, so it is left to the operator: a later version has another"
)


class EngineScraper:
    """Reads the metrics pages of all engines, again and again.

    Args:
        session: carries the requests.
        interval_s: between two looks at an engine, > 0.
        engines: the pages to read, by ip:port; asked for before every round.
        scraped: called after every round with what was found.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        interval_s: float,
        engines: Callable[[], Mapping[str, MetricsPage]],
        scraped: Callable[[], None],
    ) -> None:
        self._session = session
        self._interval_s = interval_s
        self._engines = engines
        self._scraped = scraped
        self._samples: dict[str, EngineSample | Missing] = {}

    def sample(self, address: str) -> EngineSample | Missing:
        """The newest signals of an engine, or why there are none; their age is for the reader to judge."""
        return self._samples.get(address, _NOT_YET)

    async def run(self) -> None:
        """Scrape until cancelled."""
        while True:
            started_s = time.monotonic()
            try:
                await self._round()
                self._scraped()
            except Exception:  # noqa: BLE001 - one odd page must not end what all picks depend on
                _log.exception("scrape_stumbled")
            await asyncio.sleep(max(0.0, started_s + self._interval_s - time.monotonic()))

    async def _round(self) -> None:
        engines = self._engines()
        found = await asyncio.gather(*(self._scrape(address, page) for address, page in engines.items()))
        self._samples = dict(zip(engines, found, strict=True))

    async def _scrape(self, address: str, page: MetricsPage) -> EngineSample | Missing:
        if page.format is MetricsFormat.ITERATION_STATISTICS:
            return _ONE_READER
        return await scrape(self._session, url=f"http://{address}{page.path}", page=page, now_s=time.time())
