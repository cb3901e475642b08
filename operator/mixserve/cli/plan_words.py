"""The report of `mixserve plan` in words and cells, for people: what table and Markdown share."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from mixserve.plan.cost import HOURS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.cli.plan_against import Bounds
    from mixserve.cli.plan_report import PoolReport, Report
    from mixserve.plan.cost import BreakEven, HourlyPrice, Month
    from mixserve.plan.forecast import Outlook, Question, VariantForecast

COLUMNS = (
    *("POOL", "VARIANT", "FORMAT", "GPU", "FITS", "GPUS", "CONTEXT", "CONCURRENCY"),
    *("TTFT", "TPOT", "TOK/S", "$/H", "$/1M"),
)
FITS = COLUMNS.index("FITS")
_OF_PAIRS = ("PROPOSED", "SPEED-UP")
"""Columns that are there only where a pool speculates."""

_UNKNOWN = "-"
_FITS = {True: "yes", False: "no", None: "unknown"}
_MILLION, _BILLION = 10**6, 10**9
_CENT = Decimal("0.01")


def columns(report: Report) -> tuple[str, ...]:
    """The heads of the columns."""
    return (*COLUMNS, *_OF_PAIRS) if _speculates(report) else COLUMNS


def _speculates(report: Report) -> bool:
    return any(one.speculation is not None for pool in report.pools for one in pool.forecast.variants)


def rows(report: Report) -> list[tuple[str, ...]]:
    """A row per variant; a pool that can't be read has one as well."""
    broken = [one.what for one in report.refused if one.is_pool]
    rest = len(columns(report)) - FITS - 1
    speculates = _speculates(report)
    return [
        *(
            (*_row(pool, variant), *(_proposals(variant) if speculates else ()))
            for pool in report.pools
            for variant in pool.forecast.variants
        ),
        *(
            (f"{what.namespace}/{what.name or '(no name)'}", *[_UNKNOWN] * (FITS - 1), _FITS[False], *[_UNKNOWN] * rest)
            for what in broken
        ),
    ]


def _proposals(one: VariantForecast) -> tuple[str, str]:
    """What is proposed, and what it is predicted to do in a full replica and for a request alone."""
    if one.speculation is None:
        return _UNKNOWN, _UNKNOWN
    spec = one.speculation.spec
    proposed = f"{spec.method} x{spec.tokens}"
    speed = None if one.outlook is None else one.outlook.prediction
    if speed is None or speed.speed_up is None or speed.speed_up_alone is None:
        return proposed, _UNKNOWN
    return proposed, f"{speed.speed_up.factor:.2f} ({speed.speed_up_alone.factor:.2f} alone)"


def _row(pool: PoolReport, one: VariantForecast) -> tuple[str, ...]:
    variant, gpus, replicas = one.variant, one.tensor_parallel, one.variant.replicas
    return (
        pool_name(pool),
        variant.name,
        variant.quantization,
        f"{variant.accelerator} x{variant.tensor_parallel if gpus is None else gpus}",
        _FITS[one.fits],
        _UNKNOWN if gpus is None else _range(replicas.min * gpus, replicas.max * gpus),
        _context(one),
        *_speed(one.outlook),
        _hourly(one.price),
        _UNKNOWN if one.outlook is None else usd(one.outlook.tokens.usd),
    )


def pool_name(pool: PoolReport) -> str:
    """Namespace and name."""
    return f"{pool.what.namespace}/{pool.what.name}"


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}-{most}"


def _context(one: VariantForecast) -> str:
    if one.memory is None:
        return _UNKNOWN
    return f"{one.memory.context_tokens} of {one.largest_context_tokens}"


def _speed(outlook: Outlook | None) -> tuple[str, str, str, str]:
    if outlook is None:
        return (_UNKNOWN,) * 4
    speed = outlook.prediction
    return str(speed.batch), duration(speed.ttft_s), duration(speed.tpot_s), f"{speed.tokens_per_s:.0f}"


def _hourly(price: HourlyPrice | None) -> str:
    if price is None:
        return _UNKNOWN
    return usd(price.on_demand) if price.spot is None else f"{usd(price.on_demand)} ({usd(price.spot)})"


def duration(value_s: float) -> str:
    """Seconds for people, in three digits at most."""
    return f"{value_s:.1f}s" if value_s >= 1 else f"{value_s * 1000:.0f}ms"


def usd(value: Decimal) -> str:
    """Cents, and more digits where that would say too little: two that count, below a cent."""
    if value >= 1 or not value:
        return f"{value:.2f}"
    return f"{value:.3f}" if value >= _CENT else f"{value:.{1 - value.adjusted()}f}"


def amount(value: int) -> str:
    """A large number for people: 1234, 5.6 million, 7.8 billion."""
    if value >= _BILLION:
        return f"{value / _BILLION:.1f} billion"
    return f"{value / _MILLION:.1f} million" if value >= _MILLION else str(value)


def legend(report: Report) -> list[str]:
    """What the numbers are, and are not; nothing where there is no number."""
    if not any(one.price is not None or one.fits is None for pool in report.pools for one in pool.forecast.variants):
        return []
    workload, spot = report.question.workload, ", in brackets spot" if _has_spot(report) else ""
    requests = f"{workload.prompt_tokens} tokens of prompt and {workload.answer_tokens} of answer per request"
    lines = [
        f"Predicted by a roofline of a full replica, not measured; {requests}.",
        "GPUS: of all replicas together, at their fewest and at their most.",
        "CONTEXT: as configured, of the largest that fits. CONCURRENCY: requests of these lengths in one replica.",
        "TTFT: in a full replica, without queueing. TOK/S: prompts and answers of one replica.",
        f"$/H: a replica in USD, on demand{spot}. $/1M: on demand, over all it computes, prompts and answers alike.",
    ]
    if _speculates(report):
        lines.append(
            "SPEED-UP: of tokens by speculative decoding, in a full replica; predicted with the acceptance that is "
            "usual for the method, and part of TPOT and TOK/S."
        )
    unknown = any(one.fits is None for pool in report.pools for one in pool.forecast.variants)
    return (
        [*lines, "FITS unknown: the model's numbers are not known; spec.model.facts gives them."] if unknown else lines
    )


def _has_spot(report: Report) -> bool:
    prices = (one.price for pool in report.pools for one in pool.forecast.variants)
    return any(price is not None and price.spot is not None for price in prices)


def ignored(report: Report) -> Iterator[str]:
    """Objects of other kinds, by file."""
    for file, kinds in report.ignored.items():
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        yield f"{file}: ignored {listed}"


def costs(pool: PoolReport, question: Question) -> Iterator[str]:
    """Sentences about what to choose and what it costs."""
    best, bounds = pool.forecast.best, pool.usd_per_hour
    if best is None:
        reasons = "; ".join(f"{one.variant.name}: {one.obstacle}" for one in pool.forecast.variants)
        yield f"no variant can be chosen ({reasons})"
    else:
        assert best.outlook is not None
        yield from _choice(best, best.outlook, question)
        others = [one for one in pool.forecast.variants if one.obstacle]
        if others:
            yield f"not chosen: {'; '.join(f'{one.variant.name}: {one.obstacle}' for one in others)}"
    if bounds is not None:
        yield f"all variants together cost {_between(bounds)} USD/h within their replicas"


def _between(bounds: tuple[Decimal, Decimal]) -> str:
    least, most = (usd(bound) for bound in bounds)
    return least if least == most else f"{least} to {most}"


def _choice(best: VariantForecast, outlook: Outlook, question: Question) -> Iterator[str]:
    name, month, rate = best.variant.name, outlook.month, question.requests_per_s
    tokens = (
        f"{usd(outlook.tokens.usd)} USD per 1M tokens of a full replica, {usd(outlook.tokens.answer_usd)} per 1M of "
        "answers alone"
    )
    if month is None:
        yield f"best by cost: {name}, {tokens}"
    else:
        yield f"best by cost at {rate} requests/s: {name}, {_month(month)}"
        yield f"its tokens: {tokens}"
    if question.api is not None:
        yield _break_even(outlook.break_even)


def _month(month: Month) -> str:
    replicas = "1 replica" if month.replicas == 1 else f"{month.replicas} replicas"
    api = "" if month.api_usd is None else f"; the API: {month.api_usd:.2f} USD"
    return f"{replicas}, {month.usd:.2f} USD a month of {HOURS_PER_MONTH} h{api}"


def _break_even(point: BreakEven | None) -> str:
    if point is None:
        return "the API is free, and so always cheaper"
    if not point.is_reached:
        return f"the API is always cheaper: a replica would have to serve {point.utilization_percent} % of what it can"
    return (
        f"a replica is cheaper than the API from {amount(point.requests_per_month)} requests "
        f"({amount(point.tokens_per_month)} tokens) a month on, {point.utilization_percent} % of what it can serve"
    )


def differences(pool: PoolReport) -> Iterator[str]:
    """Sentences about what would change in the cluster; none where the pool was held against none."""
    found = pool.difference
    if found is None:
        return
    if found.refusal:
        yield f"the API server refuses it: {found.refusal}"
    elif pool.findings.violations:
        yield "the operator would report its violations, and leave what runs as it is"
    elif not found.is_planned:
        yield "the operator would read the model's files first, and leave what runs as it is until then"
    for change in found.changes:
        yield f"{change.action} {change.kind} {change.name}{f' ({change.field_path})' if change.field_path else ''}"
    if not found.is_new:
        yield from (_bounds(one) for one in found.bounds)
    if found.is_planned and not (found.refusal or found.changes or found.bounds):
        yield "nothing would change"


def _bounds(one: Bounds) -> str:
    before, after = ("none" if bounds is None else _range(*bounds) for bounds in (one.before, one.after))
    return f"replicas of {one.variant}: {before} -> {after}{'' if one.running is None else f', {one.running} run now'}"
