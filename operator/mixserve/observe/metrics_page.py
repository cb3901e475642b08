"""Read the few gauges and counters that matter from an engine's metrics page.

A page of vLLM has 50 KB, of which a handful of lines are wanted: `prometheus_client`'s parser takes 7.6 ms for it,
looking for the lines 0.1 ms. At a thousand pods every 5 s that is one and a half cores against a fiftieth of one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mixserve.api.observation import EngineSample, Missing, MissingReason, SpeculationCounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.engines.protocol import MetricNames, SpeculationNames


class UnusableError(Exception):
    """A gauge is absent or its value makes no sense; carries what to report."""

    def __init__(self, reason: MissingReason, detail: str) -> None:
        super().__init__(detail)
        self.missing = Missing(reason, detail)


def read_metrics_page(page: bytes, names: MetricNames, *, scraped_at_s: float) -> EngineSample | Missing:
    """The signals on a page in Prometheus' text format.

    With data parallelism every engine of the replica has its own line: requests are summed, and the fullest KV cache
    counts.

    Returns:
        The sample, or why there is none: a signal without a line, or a value that is NaN, negative or out of range.
    """
    page = b"\n" + page
    try:
        return EngineSample(
            scraped_at_s=scraped_at_s,
            running=_count(page, names.running),
            waiting=_count(page, names.waiting),
            kv_cache_usage=_share(page, names.kv_cache_usage),
            speculation=_speculation(page, names.speculation),
        )
    except UnusableError as error:
        return error.missing


def _speculation(page: bytes, names: SpeculationNames | None) -> SpeculationCounts | Missing:
    """The counters since the engine's start; whatever is wrong with them is no reason to do without the gauges."""
    if names is None:
        return Missing(MissingReason.METRIC_ABSENT)
    try:
        return SpeculationCounts(
            drafts=None if names.drafts is None else _count(page, (names.drafts,)),
            proposed=_count(page, (names.proposed,)),
            kept=_count(page, (names.kept,)),
            since_last_read=False,
        )
    except UnusableError as error:
        return error.missing


def _count(page: bytes, names: tuple[str, ...]) -> int:
    total = math.fsum(_values(page, names))
    if not total.is_integer():
        raise UnusableError(MissingReason.UNPARSABLE, f"{names[0]} is {total}, which is no whole number")
    return int(total)


def _share(page: bytes, names: tuple[str, ...]) -> float:
    highest = max(_values(page, names))
    if highest > 1:
        raise UnusableError(MissingReason.UNPARSABLE, f"{names[0]} is {highest}, which is no share")
    return highest


def _values(page: bytes, names: tuple[str, ...]) -> list[float]:
    """All values under the first name that the page has."""
    for name in names:
        values = [_number(text, name) for text in _samples(page, name.encode())]
        if values:
            return values
    raise UnusableError(MissingReason.METRIC_ABSENT, f"no {' or '.join(names)} on the metrics page")


def _samples(page: bytes, name: bytes) -> Iterator[bytes]:
    """The values, as text, of all lines of a metric; `page` begins with a line break."""
    wanted = b"\n" + name
    at = page.find(wanted)
    while at >= 0:
        start = at + len(wanted)
        end = page.find(b"\n", start)
        rest = page[start : end if end >= 0 else len(page)]
        if rest[:1] in b"{ \t":  # else it is a longer name
            # After the labels, whose values may hold blanks: the value, and sometimes a time.
            yield (rest.rpartition(b"}")[2].split() or [b""])[0]
        at = page.find(wanted, start)


def _number(text: bytes, name: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UnusableError(MissingReason.UNPARSABLE, f"{name} is {text[:40]!r}, which is no number") from error
    if not math.isfinite(value) or value < 0:
        raise UnusableError(MissingReason.UNPARSABLE, f"{name} is {value}")
    return value
