"""What becomes of a pool: whether its variants fit, and what they would do and cost at a given load. All predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mixserve.api.engine import Task
from mixserve.api.model_facts import ModelFacts
from mixserve.plan.cost import break_even, hourly_price, month_of, token_price
from mixserve.plan.memory import memory_plan_if_known
from mixserve.plan.placement import PlacementError, placement_of
from mixserve.plan.prediction import predict
from mixserve.plan.speculation import WITHOUT_SPECULATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.cost import ApiPrice, BreakEven, HourlyPrice, Month, TokenPrice
    from mixserve.plan.facts import Facts
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.placement import Placement
    from mixserve.plan.prediction import Prediction, Workload
    from mixserve.plan.speculation import Speculation

_WRONG = "it has violations"
_UNKNOWN = "the model's numbers are unknown"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the forecast is for.

    Attributes:
        workload: the mean request.
        requests_per_s: the rate to serve, > 0, or None.
        api: the price to compare with, or None.
        longest_ttft_s: time to the first token that is good enough, or None.
        longest_tpot_s: time per output token that is good enough, or None.
    """

    workload: Workload
    requests_per_s: Decimal | None = None
    api: ApiPrice | None = None
    longest_ttft_s: float | None = None
    longest_tpot_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a replica would do and cost.

    Attributes:
        prediction: its speed.
        tokens: the price of what it computes.
        month: what the rate costs, or None if there is none.
        break_even: with the API, or None if there is no price of one.
    """

    prediction: Prediction
    tokens: TokenPrice
    month: Month | None
    break_even: BreakEven | None

    @property
    def ranking(self) -> Decimal:
        """What to choose by: the month's cost where there is a rate, else the price of tokens."""
        return self.tokens.usd if self.month is None else self.month.usd


@dataclass(frozen=True, kw_only=True)
class VariantForecast:
    """One variant.

    Attributes:
        variant: as the pool has it.
        tensor_parallel: GPUs of a replica, or None where nobody can tell.
        memory: a replica's memory, or None where the model's numbers or what the variant names is unknown.
        largest_context_tokens: the longest request that both the KV cache and the model would take, or None.
        fits: whether it starts; None where nobody can tell.
        price: a replica per hour, or None where what the variant names is unknown.
        outlook: speed and cost, or None where there are no numbers, or no request of these lengths is taken.
        obstacle: why the variant is not to be chosen, as a clause; empty where it may be.
        speculation: what proposes tokens, or None.
    """

    variant: Variant
    tensor_parallel: int | None
    memory: MemoryPlan | None = None
    largest_context_tokens: int | None = None
    fits: bool | None = None
    price: HourlyPrice | None = None
    outlook: Outlook | None = None
    obstacle: str = ""
    speculation: Speculation | None = None


@dataclass(frozen=True, kw_only=True)
class PoolForecast:
    """All variants of a pool, in its order.

    Attributes:
        variants: their forecasts.
        parameters: of the model, by the first variant's checkpoint that is known, or None.
        best: the cheapest variant that fits and is fast enough, or None.
    """

    variants: tuple[VariantForecast, ...]
    parameters: int | None
    best: VariantForecast | None


def forecast(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    wrong_variants: frozenset[str],
    question: Question,
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> PoolForecast:
    """Forecast a pool.

    Args:
        pool: the pool; it need not be valid. Where it still says auto, nobody can tell the number of GPUs.
        catalog: what its variants may name.
        facts_by_variant: the numbers of each variant's checkpoint.
        wrong_variants: names of the variants that have violations: they do not start, whatever their memory.
        question: what is asked; of a pool that makes embeddings, whose requests are prompts alone, without the answers.
        speculation: what proposes tokens, by variant.
    """
    if pool.spec.task is Task.EMBED:
        question = replace(question, workload=replace(question.workload, answer_tokens=1))
    variants = tuple(
        _of_variant(
            pool,
            variant,
            catalog=catalog,
            facts=facts_by_variant[variant.name],
            is_wrong=variant.name in wrong_variants,
            question=question,
            speculation=speculation.get(variant.name),
        )
        for variant in pool.spec.variants
    )
    known = (facts.parameters for facts in facts_by_variant.values() if isinstance(facts, ModelFacts))
    ranked = ((one.outlook.ranking, index) for index, one in enumerate(variants) if one.outlook and not one.obstacle)
    _, best = min(ranked, default=(None, None))
    return PoolForecast(
        variants=variants,
        parameters=next(known, None),
        best=None if best is None else variants[best],
    )


def _of_variant(
    pool: LLMServingPool,
    variant: Variant,
    *,
    catalog: Catalog,
    facts: Facts,
    is_wrong: bool,
    question: Question,
    speculation: Speculation | None,
) -> VariantForecast:
    empty = VariantForecast(variant=variant, tensor_parallel=None, speculation=speculation)
    try:
        placement = placement_of(pool, variant=variant, catalog=catalog)
    except PlacementError:
        return replace(empty, fits=False, obstacle=_WRONG)
    if variant.is_auto:
        return replace(empty, obstacle=_UNKNOWN)
    memory = memory_plan_if_known(facts, engine=pool.spec.engine, placement=placement, speculation=speculation)
    fits = None if memory is None else memory.fits
    if is_wrong:
        fits = False
    outlook = None
    if memory is not None and fits:
        pair = None if speculation is None else speculation.spec
        outlook = _outlook(pool, variant, memory=memory, placement=placement, question=question, pair=pair)
    return replace(
        empty,
        tensor_parallel=placement.tensor_parallel,
        memory=memory,
        largest_context_tokens=_largest_context(facts, memory),
        fits=fits,
        price=hourly_price(placement),
        outlook=outlook,
        obstacle=_obstacle(variant, fits=fits, outlook=outlook, question=question),
    )


def _outlook(
    pool: LLMServingPool,
    variant: Variant,
    *,
    memory: MemoryPlan,
    placement: Placement,
    question: Question,
    pair: SpeculativePairSpec | None,
) -> Outlook | None:
    workload, rate, api = question.workload, question.requests_per_s, question.api
    engine, accelerator = pool.spec.engine, placement.accelerator
    prediction = predict(memory, accelerator=accelerator, engine=engine, workload=workload, pair=pair)
    if prediction is None:
        return None
    price = hourly_price(placement)
    month = None
    if rate is not None:
        month = month_of(
            rate,
            price=price,
            prediction=prediction,
            least_replicas=variant.replicas.min,
            workload=workload,
            api=api,
        )
    return Outlook(
        prediction=prediction,
        tokens=token_price(price, prediction),
        month=month,
        break_even=None if api is None else break_even(api, price=price, prediction=prediction, workload=workload),
    )


def _largest_context(facts: Facts, memory: MemoryPlan | None) -> int | None:
    if memory is None or not isinstance(facts, ModelFacts):
        return None
    return min(memory.kv_capacity_tokens, facts.max_position_embeddings)


def _obstacle(
    variant: Variant,
    *,
    fits: bool | None,
    outlook: Outlook | None,
    question: Question,
) -> str:
    """The first reason not to choose the variant."""
    if fits is None:
        return _UNKNOWN
    if not fits:
        return _WRONG
    if outlook is None:
        return f"a request may not have the {question.workload.tokens} tokens of prompt and answer"
    return next(_shortcomings(variant, outlook=outlook, question=question), "")


def _shortcomings(
    variant: Variant,
    *,
    outlook: Outlook,
    question: Question,
) -> Iterator[str]:
    prediction, month, most = outlook.prediction, outlook.month, variant.replicas.max
    if question.longest_ttft_s is not None and prediction.ttft_s > question.longest_ttft_s:
        yield f"its TTFT is longer than {seconds(question.longest_ttft_s)}"
    if question.longest_tpot_s is not None and prediction.tpot_s > question.longest_tpot_s:
        yield f"its TPOT is longer than {seconds(question.longest_tpot_s)}"
    if month is not None and month.replicas > most:
        yield f"the rate needs {month.replicas} replicas, and its maximum is {most}"


def seconds(duration_s: float) -> str:
    """A time for people: 1.50 s, 35 ms."""
    return f"{duration_s:.2f} s" if duration_s >= 1 else f"{duration_s * 1000:.3g} ms"
