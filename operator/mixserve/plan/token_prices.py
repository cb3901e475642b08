"""What prompts and answers cost each, as APIs have their prices: predicted, of a full replica. USD.

A full replica finishes requests at the rate that `plan.prediction` says, so each request takes 1 / rate of its time and
of its price. That is split in proportion to what both parts would take by themselves:

    prompt     = prompt tokens x the arithmetic of one token         (prefill is bound by arithmetic)
    completion = answer tokens x a step of answers alone / batch     (and by the speed-up of speculative decoding)

    price of a prompt token = price per second x (1 / rate) x prompt / (prompt + completion) / prompt tokens

A prompt token from the prefix cache costs no arithmetic, only that its keys and values are read once more; what they
cost in the steps after that is in the price of the answer, as those of any other token of the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from mixserve.plan.cost import hourly_price
from mixserve.plan.prediction import Workload, predict
from mixserve.plan.speed_up import model_roofline

if TYPE_CHECKING:
    from mixserve.api.engine import Engine
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.placement import Placement

_MILLION = 10**6
# Cached tokens cost a thousandth of others, which cost cents.
_MICRO = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class SplitPrice:
    """A million tokens, in USD on demand.

    Attributes:
        prompt: of prompts, as far as the prefix cache does not have them.
        cached_prompt: of prompts from the prefix cache.
        completion: of answers.
    """

    prompt: Decimal
    cached_prompt: Decimal
    completion: Decimal


def split_price(
    plan: MemoryPlan,
    *,
    placement: Placement,
    engine: Engine,
    pair: SpeculativePairSpec | None = None,
) -> SplitPrice | None:
    """What tokens of a full replica cost at the usual lengths, or shorter ones where its context is shorter.

    Args:
        plan: the replica's memory.
        placement: what it runs on.
        engine: the pool's engine section.
        pair: what proposes tokens, with which the plan was made; None without speculative decoding.

    Returns:
        None where it does not start.
    """
    workload = _within(plan.context_tokens)
    prediction = predict(plan, accelerator=placement.accelerator, engine=engine, workload=workload, pair=pair)
    if prediction is None:
        return None
    roofline = model_roofline(plan, accelerator=placement.accelerator, context_tokens=workload.tokens)
    batch = prediction.batch
    speed_up = 1.0 if prediction.speed_up is None else prediction.speed_up.factor
    step_s = roofline.step_s(batch_tokens=batch, context_tokens=batch * workload.tokens) / speed_up
    prompt_s = workload.prompt_tokens * roofline.compute_s_per_batch_token
    completion_s = workload.answer_tokens * step_s / batch
    scale = 1 / prediction.requests_per_s / (prompt_s + completion_s)
    usd_per_s = hourly_price(placement).on_demand / 3600

    def per_million(token_s: float) -> Decimal:
        return (usd_per_s * Decimal(scale * token_s) * _MILLION).quantize(_MICRO, ROUND_HALF_EVEN)

    return SplitPrice(
        prompt=per_million(roofline.compute_s_per_batch_token),
        cached_prompt=per_million(roofline.kv_s_per_context_token),
        completion=per_million(step_s / batch),
    )


def _within(context_tokens: int) -> Workload:
    """The usual mean request, in the same proportions where it would be longer than a request may be."""
    usual = Workload()
    if usual.tokens <= context_tokens:
        return usual
    prompt = usual.prompt_tokens * context_tokens // usual.tokens
    return Workload(prompt_tokens=prompt, answer_tokens=context_tokens - prompt)
