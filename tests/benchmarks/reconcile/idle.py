"""What an idle fleet costs: the operator's CPU time, memory, and calls to the API server."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import aiohttp
from process_cost import cpu_s, resident_bytes
from prometheus_client.parser import text_string_to_metric_families

_READS = {"get", "list", "watch"}


@dataclass(frozen=True)
class IdleCost:
    """The operator over a quiet stretch.

    Attributes:
        cpu_percent: of one core.
        resident_bytes: memory at the end.
        writes: calls that write anything but the Lease.
        lease_writes: calls that write the Lease.
        reads: all other calls.
    """

    seconds: float
    cpu_percent: float
    resident_bytes: int
    writes: int
    lease_writes: int
    reads: int


async def _calls(metrics_url: str) -> Counter[tuple[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(metrics_url) as response:
        page = await response.text()
    calls: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "mixserve_api_calls_total":
                calls[sample.labels["verb"], sample.labels["resource"]] += int(sample.value)
    return calls


async def measure(*, pid: int, metrics_url: str, seconds: float) -> IdleCost:
    """Watch the operator's process `pid` for so many seconds in which nothing changes."""
    before_calls, before_cpu_s = await _calls(metrics_url), cpu_s(pid)
    await asyncio.sleep(seconds)
    calls, used_s = await _calls(metrics_url) - before_calls, cpu_s(pid) - before_cpu_s
    writes = {key: count for key, count in calls.items() if key[0] not in _READS}
    lease_writes = sum(count for (_, resource), count in writes.items() if resource == "leases")
    return IdleCost(
        seconds=seconds,
        cpu_percent=100 * used_s / seconds,
        resident_bytes=resident_bytes(pid),
        writes=sum(writes.values()) - lease_writes,
        lease_writes=lease_writes,
        reads=sum(calls.values()) - sum(writes.values()),
    )
