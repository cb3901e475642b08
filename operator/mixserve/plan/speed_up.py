"""How much faster tokens come with speculative decoding, by the roofline. Predicted, never measured.

    speed-up = accepted length x t(batch) / [t(batch x (k + 1)) + k x t_draft(batch)]

A step checks k proposed tokens of each request beside the one that is due, and gives `accepted length` tokens:
1 + kept / drafts. It is worth it as long as a step is bound by memory: then k + 1 tokens take hardly longer than one.
With large batches it is bound by arithmetic, and what is not kept was computed in vain.

Where nothing was measured, each proposed token is kept with the same probability a if the one before was (Leviathan et
al. 2023, arXiv 2211.17192, equation 1):

    accepted length = 1 + a + a^2 + ... + a^k
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.plan.roofline import Roofline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.plan.memory import MemoryPlan

PRIOR_ACCEPTANCE: Mapping[SpeculationMethod, float] = MappingProxyType(
    {
        # Leviathan et al. measured 0.5 to 0.9 for models of a tenth to a hundredth of the size; the middle of it.
        SpeculationMethod.DRAFT_MODEL: 0.7,
        # An assumption: chains of EAGLE-3 heads are reported to give 2.4 to 2.8 tokens a step at k = 3 on chat.
        SpeculationMethod.EAGLE3: 0.7,
        # DeepSeek-V3's report has 85 to 90 % for the second token; the same layer used again guesses worse.
        SpeculationMethod.MTP: 0.8,
        # Assumptions, since it all depends on how much of an answer stands in the prompt: chat, not summaries or code.
        SpeculationMethod.NGRAM: 0.25,
        SpeculationMethod.SUFFIX: 0.35,
    }
)
"""Probability that a proposed token is kept, if the one before it was and nothing was measured; from 0 to 1."""

# Of one step of a draft, which is a replayed CUDA graph without scheduling and without an answer to anybody. An
# assumption.
DRAFT_STEP_OVERHEAD_S = 0.0005

_GIGA, _TERA = 10**9, 10**12
_DRAFT_BITS = 16


def prior_accepted_length(method: SpeculationMethod, tokens: int) -> float:
    """Tokens that a step gives per request where nothing was measured.

    Args:
        method: where proposals come from.
        tokens: how many there are per step, >= 0.
    """
    kept = PRIOR_ACCEPTANCE[method]
    return sum(kept**position for position in range(tokens + 1))


def model_roofline(
    plan: MemoryPlan,
    *,
    accelerator: AcceleratorClassSpec,
    context_tokens: float,
) -> Roofline:
    """The formula's coefficients for the model alone, without a draft.

    Args:
        plan: one replica's memory.
        accelerator: its GPUs.
        context_tokens: of a mean request; where layers have windows, a token is what one of it holds on average.
    """
    draft = 0 if plan.proposer is None else plan.proposer.kv_bytes_per_token
    return Roofline.of(
        gpus=plan.tensor_parallel,
        memory_bandwidth_bytes_per_s=accelerator.memory_bandwidth * _GIGA,
        flops=accelerator.dense_teraflops.at(plan.compute_bits) * _TERA,
        parameters=plan.parameters,
        active_parameters=plan.active_parameters,
        weights_bytes=plan.weights_bytes,
        active_weights_bytes=plan.active_weights_bytes,
        kv_bytes_per_token=max(0.0, plan.kv.held(context_tokens) / context_tokens - draft),
    )


@dataclass(frozen=True, kw_only=True)
class SpeedUp:
    """What is expected at one batch size.

    Attributes:
        tokens: proposed per request and step; 0 for none.
        accepted_length: tokens that a step gives per request, >= 1.
        factor: how many times as fast tokens come as without speculation; below 1 is slower.
        is_measured: whether the accepted length is; else it is what is usual for the method.
    """

    tokens: int
    accepted_length: float
    factor: float
    is_measured: bool


@dataclass(frozen=True, kw_only=True)
class SpeculationSpeed:
    """The rooflines of a model and of what proposes tokens to it.

    Attributes:
        pair: what is proposed, and how much of it.
        model: the model's step.
        draft: the draft's; None for what takes no time of the GPUs.
        context_tokens: of a mean request, > 0.
    """

    pair: SpeculativePairSpec
    model: Roofline
    draft: Roofline | None
    context_tokens: float

    @classmethod
    def of(
        cls,
        pair: SpeculativePairSpec,
        plan: MemoryPlan,
        *,
        accelerator: AcceleratorClassSpec,
        context_tokens: float,
    ) -> SpeculationSpeed | None:
        """From one replica's memory plan; None where what proposes tokens is not known.

        Args:
            pair: what the plan was made with.
            plan: one replica's memory.
            accelerator: its GPUs.
            context_tokens: of a mean request, > 0.
        """
        if plan.proposer is None:
            return None
        return cls(
            pair=pair,
            model=model_roofline(plan, accelerator=accelerator, context_tokens=context_tokens),
            draft=_draft_roofline(plan, accelerator),
            context_tokens=context_tokens,
        )

    def draft_s(self, *, batch: float, tokens: int) -> float:
        """Seconds that it takes to propose `tokens` tokens to each of `batch` requests, one after the other."""
        if self.draft is None:
            return 0.0
        return tokens * self.draft.step_s(batch_tokens=max(1.0, batch), context_tokens=batch * self.context_tokens)


def expected_speed_up(
    speed: SpeculationSpeed,
    *,
    batch: float,
    accepted_length: float | None = None,
) -> SpeedUp:
    """How much faster tokens come at a batch size.

    Args:
        speed: of the model and what proposes tokens to it.
        batch: requests at once in one replica, > 0; less than 1 counts as 1, since a step has a request or is none.
        accepted_length: tokens that a step with proposals gave per request, as measured; None if nothing was measured.
    """
    requests = max(1.0, batch)
    tokens = speed.pair.tokens_at(requests)
    if tokens == 0:
        return SpeedUp(tokens=0, accepted_length=1.0, factor=1.0, is_measured=False)
    length = prior_accepted_length(speed.pair.method, tokens) if accepted_length is None else max(1.0, accepted_length)
    context = requests * speed.context_tokens
    without = speed.model.step_s(batch_tokens=requests, context_tokens=context)
    checking = speed.model.step_s(batch_tokens=requests * (tokens + 1), context_tokens=context)
    return SpeedUp(
        tokens=tokens,
        accepted_length=length,
        factor=length * without / (checking + speed.draft_s(batch=requests, tokens=tokens)),
        is_measured=accepted_length is not None,
    )


def _draft_roofline(plan: MemoryPlan, accelerator: AcceleratorClassSpec) -> Roofline | None:
    proposer = plan.proposer
    if proposer is None or not proposer.is_on_gpu:
        return None
    found = Roofline.of(
        gpus=plan.tensor_parallel,
        memory_bandwidth_bytes_per_s=accelerator.memory_bandwidth * _GIGA,
        flops=accelerator.dense_teraflops.at(_DRAFT_BITS) * _TERA,
        parameters=proposer.parameters,
        active_parameters=proposer.parameters,
        weights_bytes=proposer.read_bytes,
        active_weights_bytes=proposer.read_bytes,
        kv_bytes_per_token=proposer.kv_bytes_per_token,
    )
    return replace(found, overhead_s=DRAFT_STEP_OVERHEAD_S)
