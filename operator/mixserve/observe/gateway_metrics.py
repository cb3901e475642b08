"""What gateways count, from their metrics pages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from mixserve.api.gateway_names import REQUESTS_METRIC, WEB_PORT
from mixserve.observe.scrape import bounded, metrics_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_S = 5.0
_OK = 200
_SUCCESS = "2"

Answered = dict[str, "Counter[tuple[str, str]]"]
"""By policy: requests that were answered with success, by tier and pool."""


async def read_gateway(session: aiohttp.ClientSession, address: str, port: int = WEB_PORT) -> Answered | None:
    """What a gateway counts; None where it does not say, whatever the reason.

    Args:
        session: what `scrape_session` returned.
        address: of the pod.
        port: of its metrics page.
    """
    url = metrics_url(address=address, port=port, path="/metrics")
    try:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            content = await bounded(response) if response.status == _OK else None
        return None if content is None else answered_on(content)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return None


def answered_on(page: bytes) -> Answered:
    """The requests that a page counts.

    Raises:
        ValueError: it is not in Prometheus' text format.
    """
    # Only the lines that are read: the parser takes its time for the others.
    start = f"{REQUESTS_METRIC}{{"
    lines = [line for line in page.decode(errors="replace").splitlines() if line.startswith(start)]
    found: Answered = {}
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        for sample in family.samples:
            _take(sample.labels, sample.value, found)
    return found


def _take(labels: Mapping[str, str], value: float, found: Answered) -> None:
    policy = labels.get("policy")
    if policy and labels.get("code", "").startswith(_SUCCESS) and value >= 0:
        found.setdefault(policy, Counter())[labels.get("tier", ""), labels.get("pool", "")] += int(value)
