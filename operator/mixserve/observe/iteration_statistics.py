"""Read TensorRT-LLM's statistics of iterations: a JSON list with an object for each iteration since the last read.

The newest one counts. An empty list is an answer, too: the server gives it when no iteration has come for two seconds
(`IterationResult.__anext__`), and at once when none has been asked for since. So nothing runs, and nothing that runs
holds KV blocks. It is no proof where one iteration takes longer than that; decisions that rest on idleness ask again
(drains), or wait for minutes (scaling down).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.observe.metrics_page import UnusableError

if TYPE_CHECKING:
    from mixserve.engines.protocol import MetricNames

# In the object of the KV cache.
_USED, _MOST = "usedNumBlocks", "maxNumBlocks"


def read_iteration_statistics(page: bytes, names: MetricNames, *, scraped_at_s: float) -> EngineSample | Missing:
    """The signals of the newest iteration.

    Returns:
        The sample, or why there is none: no JSON list of objects, a signal that is absent, no number or out of range.
    """
    try:
        iterations = _list(page)
        if not iterations:
            return EngineSample(scraped_at_s=scraped_at_s, running=0, waiting=0, kv_cache_usage=0.0)
        newest = iterations[-1]
        return EngineSample(
            scraped_at_s=scraped_at_s,
            running=_count(newest, names.running[0]),
            waiting=_count(newest, names.waiting[0]),
            kv_cache_usage=_share(_member(newest, names.kv_cache_usage[0])),
        )
    except UnusableError as error:
        return error.missing


def _list(page: bytes) -> list[Any]:
    try:
        iterations = json.loads(page)
    except (ValueError, RecursionError) as error:
        raise UnusableError(MissingReason.UNPARSABLE, f"the statistics are not JSON: {error}") from error
    if not isinstance(iterations, list):
        raise UnusableError(MissingReason.UNPARSABLE, "the statistics are no list of iterations")
    return iterations


def _count(values: Any, name: str) -> int:
    value = _member(values, name)
    if value is None:
        raise UnusableError(MissingReason.METRIC_ABSENT, f"no {name} in the statistics")
    if type(value) is not int or value < 0:
        raise UnusableError(MissingReason.UNPARSABLE, f"{name} is {str(value)[:40]}, which is no count")
    return value


def _share(blocks: Any) -> float:
    """Used blocks of all blocks."""
    used, most = _count(blocks, _USED), _count(blocks, _MOST)
    if used > most or most == 0:
        raise UnusableError(MissingReason.UNPARSABLE, f"{used} of {most} KV blocks are used")
    return used / most


def _member(values: Any, name: str) -> Any:
    return values.get(name) if isinstance(values, dict) else None
