"""Get an engine's signals from its pod, within bounds of time and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.engines.protocol import MetricsFormat
from mixserve.observe.iteration_statistics import read_iteration_statistics
from mixserve.observe.metrics_page import read_metrics_page

if TYPE_CHECKING:
    from mixserve.engines.protocol import MetricsPage

_READERS = {
    MetricsFormat.PROMETHEUS: read_metrics_page,
    MetricsFormat.ITERATION_STATISTICS: read_iteration_statistics,
}
# vLLM's page has 50 KB, and a thousand iterations of TensorRT-LLM, which keeps no more, have 1 MB; anything far beyond
# that is not an engine.
MAX_PAGE_BYTES = 4 * 2**20
# At a time: room for 500 pods that hang, and well below the usual limit of 1024 open files.
MAX_CONNECTIONS = 256


def scrape_session() -> aiohttp.ClientSession:
    """A session for scrapes; no proxy, no kept connections, which would be one per pod."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, force_close=True),
        headers={"Accept": "text/plain, application/json", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def metrics_url(*, address: str, port: int, path: str) -> URL:
    """Where a pod has its metrics page; its address may be IPv4 or IPv6."""
    return URL.build(scheme="http", host=address, port=port, path=path)


async def scrape(
    session: aiohttp.ClientSession,
    *,
    url: URL | str,
    page: MetricsPage,
    now_s: float,
) -> EngineSample | Missing:
    """The signals of one pod, or why there are none; never raises for what the pod does.

    Args:
        session: what `scrape_session` returned.
        url: of the metrics page.
        page: what is on it.
        now_s: the time that the sample is said to be of, seconds since the epoch.
    """
    try:
        timeout = aiohttp.ClientTimeout(total=page.timeout_s)
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            if response.status != 200:  # noqa: PLR2004 - OK
                return Missing(MissingReason.BAD_STATUS, f"{url} answers {response.status}")
            content = await bounded(response)
    except TimeoutError:
        return Missing(MissingReason.TIMEOUT, f"{url} has not answered within {page.timeout_s:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Missing(MissingReason.UNREACHABLE, f"{url}: {error}")
    if content is None:
        return Missing(MissingReason.UNPARSABLE, f"{url} has sent more than {MAX_PAGE_BYTES} bytes")
    return _READERS[page.format](content, page.names, scraped_at_s=now_s)


async def bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None where it is longer than it may be."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_PAGE_BYTES:
            return None
    return bytes(body)
