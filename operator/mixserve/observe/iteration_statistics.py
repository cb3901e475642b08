"""Read TensorRT-LLM's statistics of iterations: a JSON list with an object for each iteration since the last read.

The newest one counts, and of speculative decoding all of them. An empty list is an answer, too: the server gives it
when no iteration has come for two seconds (`IterationResult.__anext__`), and at once when none has been asked for
since. So nothing runs, and nothing that runs holds KV blocks. It is no proof where one iteration takes longer than
that; decisions that rest on idleness ask again (drains), or wait for minutes (scaling down).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixserve.api.observation import EngineSample, Missing, MissingReason, SpeculationCounts
from mixserve.observe.metrics_page import UnusableError

if TYPE_CHECKING:
    from mixserve.engines.protocol import MetricNames, SpeculationNames

# In an iteration; null where nothing speculates.
_SPECULATION = "specDecodingStats"
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
            speculation=_speculation(iterations, names.speculation),
        )
    except UnusableError as error:
        return error.missing


def _speculation(iterations: list[Any], names: SpeculationNames | None) -> SpeculationCounts | Missing:
    """The sums over all iterations since the last read; whatever is wrong with them, the other signals stand."""
    if names is None or names.drafts is None:
        return Missing(MissingReason.METRIC_ABSENT)
    found = [_member(iteration, _SPECULATION) for iteration in iterations]
    told = [each for each in found if each is not None]
    if not told:
        return Missing(MissingReason.METRIC_ABSENT, f"no {_SPECULATION} in the statistics")
    try:
        return SpeculationCounts(
            drafts=sum(_count(each, names.drafts) for each in told),
            proposed=sum(_count(each, names.proposed) for each in told),
            kept=sum(_count(each, names.kept) for each in told),
            since_last_read=True,
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
