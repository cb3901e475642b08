"""The report of `mixserve plan` as plain values, for JSON and YAML. Money in USD, times in seconds, sizes in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.plan.cost import HOURS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from mixserve.cli.manifests import Named, Refused
    from mixserve.cli.plan_against import Difference
    from mixserve.cli.plan_report import PoolReport, Report
    from mixserve.plan.cost import BreakEven, Month
    from mixserve.plan.forecast import Outlook, Question, VariantForecast
    from mixserve.plan.speculation import Speculation
    from mixserve.validate.violation import Finding, Violation

_DIGITS = 4
"""Significant digits of what is predicted; there are no more in the data sheets' numbers."""


def wire(report: Report) -> dict[str, Any]:
    """Everything."""
    broken = [one for one in report.refused if one.is_pool]
    return {
        "valid": report.is_valid,
        "assumptions": _assumptions(report.question),
        "pools": [*(_pool(one) for one in report.pools), *(_broken_pool(one) for one in broken)],
        "refused": [_refused(one) for one in report.refused if not one.is_pool],
        "ignored": [{"file": file, "kinds": dict(kinds)} for file, kinds in report.ignored.items()],
    }


def _assumptions(question: Question) -> dict[str, Any]:
    workload, api = question.workload, question.api
    return {
        "method": "roofline of a full replica, predicted, not measured",
        "prompt_tokens": workload.prompt_tokens,
        "answer_tokens": workload.answer_tokens,
        "requests_per_s": _number(question.requests_per_s),
        "api_usd_per_million": None if api is None else {"input": _number(api.prompt), "output": _number(api.answer)},
        "longest_ttft_s": question.longest_ttft_s,
        "longest_tpot_s": question.longest_tpot_s,
        "hours_per_month": HOURS_PER_MONTH,
    }


def _pool(one: PoolReport) -> dict[str, Any]:
    bounds, best = one.usd_per_hour, one.forecast.best
    return {
        **_origin(one.what),
        "engine": one.pool.spec.engine.type.value,
        "parameters": one.forecast.parameters,
        "violations": _findings(one.findings.violations),
        "notes": _findings(one.findings.notes),
        "usd_per_hour": None if bounds is None else {"min": _number(bounds[0]), "max": _number(bounds[1])},
        "best_variant": None if best is None else best.variant.name,
        "variants": [_variant(each, one.by_variant[each.variant.name]) for each in one.forecast.variants],
        "against": None if one.difference is None else _difference(one.difference),
    }


def _broken_pool(one: Refused) -> dict[str, Any]:
    nothing = ("engine", "parameters", "usd_per_hour", "best_variant", "against")
    return {
        **_origin(one.what),
        **dict.fromkeys(nothing),
        "violations": _findings(one.violations),
        "notes": [],
        "variants": [],
    }


def _refused(one: Refused) -> dict[str, Any]:
    return {"kind": one.what.kind or None, **_origin(one.what), "violations": _findings(one.violations)}


def _origin(what: Named) -> dict[str, Any]:
    return {
        "file": what.place.file,
        "document": what.place.document or None,
        "namespace": what.namespace or None,
        "name": what.name or None,
    }


def _findings(found: Iterable[Finding]) -> list[dict[str, str]]:
    return [
        {"reason": one.reason.value, "field_path": one.field_path, "cause": one.cause, "remedy": one.remedy}
        for one in found
    ]


def _variant(one: VariantForecast, wrong: tuple[Violation, ...]) -> dict[str, Any]:
    variant, price, replicas = one.variant, one.price, one.variant.replicas
    gpus = one.tensor_parallel
    return {
        "name": variant.name,
        "quantization": variant.quantization,
        "accelerator": variant.accelerator,
        "tensor_parallel": gpus,
        "replicas": {"min": replicas.min, "max": replicas.max},
        "gpus": None if gpus is None else {"min": replicas.min * gpus, "max": replicas.max * gpus},
        "fits": one.fits,
        **_memory(one),
        "speculation": None if one.speculation is None else _speculation(one, one.speculation),
        "violations": _findings(wrong),
        "usd_per_hour": None if price is None else _number(price.on_demand),
        "spot_usd_per_hour": None if price is None else _number(price.spot),
        "predicted": None if one.outlook is None else _outlook(one.outlook),
        "not_chosen_because": one.obstacle or None,
    }


def _speculation(one: VariantForecast, pair: Speculation) -> dict[str, Any]:
    """The pair, and what it is predicted to do; null where its numbers are not known, or the variant is not chosen."""
    speed = None if one.outlook is None else one.outlook.prediction
    full, alone = (None, None) if speed is None else (speed.speed_up, speed.speed_up_alone)
    return {
        "pair": pair.name,
        "method": pair.spec.method.value,
        "tokens": pair.spec.tokens,
        "tokenizers_match": pair.tokenizer_match.verdict.value,
        "draft_bytes": None if one.memory is None or one.memory.proposer is None else one.memory.draft_bytes,
        "predicted_accepted_length": None if full is None else _rounded(full.accepted_length),
        "predicted_speed_up": None if full is None else _rounded(full.factor),
        "predicted_speed_up_alone": None if alone is None else _rounded(alone.factor),
    }


def _memory(one: VariantForecast) -> dict[str, Any]:
    plan = one.memory
    if plan is None:
        names = ("weights_bytes", "kv_bytes_per_token", "kv_capacity_tokens", "context_tokens", "max_context_tokens")
        return dict.fromkeys((*names, "max_concurrency"))
    return {
        "weights_bytes": plan.weights_bytes,
        "kv_bytes_per_token": plan.kv_bytes_per_token,
        "kv_capacity_tokens": plan.kv_capacity_tokens,
        "context_tokens": plan.context_tokens,
        "max_context_tokens": one.largest_context_tokens,
        # As vLLM logs it when it starts: how many requests of the longest context the KV cache holds.
        "max_concurrency": round(plan.max_concurrency, 2),
    }


def _outlook(outlook: Outlook) -> dict[str, Any]:
    speed = outlook.prediction
    return {
        "concurrency": speed.batch,
        "ttft_s": _rounded(speed.ttft_s),
        "ttft_alone_s": _rounded(speed.ttft_alone_s),
        "tpot_s": _rounded(speed.tpot_s),
        "tpot_alone_s": _rounded(speed.tpot_alone_s),
        "requests_per_s": _rounded(speed.requests_per_s),
        "tokens_per_s": _rounded(speed.tokens_per_s),
        "answer_tokens_per_s": _rounded(speed.answer_tokens_per_s),
        "usd_per_million_tokens": _number(outlook.tokens.usd),
        "usd_per_million_answer_tokens": _number(outlook.tokens.answer_usd),
        "month": None if outlook.month is None else _month(outlook.month),
        "break_even": None if outlook.break_even is None else _break_even(outlook.break_even),
    }


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "new": found.is_new,
        "refused": found.refusal or None,
        "objects": [
            {"action": one.action.value, "kind": one.kind, "name": one.name, "field_path": one.field_path or None}
            for one in found.changes
        ],
        "replicas": [
            {"variant": one.variant, "before": _bounds(one.before), "after": _bounds(one.after), "running": one.running}
            for one in found.bounds
        ],
    }


def _bounds(found: tuple[int, int] | None) -> dict[str, int] | None:
    return None if found is None else {"min": found[0], "max": found[1]}


def _month(month: Month) -> dict[str, Any]:
    return {"replicas": month.replicas, "usd": _number(month.usd), "api_usd": _number(month.api_usd)}


def _break_even(point: BreakEven) -> dict[str, Any]:
    return {
        "reached": point.is_reached,
        "requests_per_month": point.requests_per_month,
        "tokens_per_month": point.tokens_per_month,
        "utilization_percent": _number(point.utilization_percent),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _number(value: Decimal | None) -> float | int | None:
    """A number that reads as it was written; what leaves the process is no sum any more."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
