"""How fast a replica would be at given lengths of prompt and answer: predicted by the roofline, never measured.

A replica that is full works on as many requests as it holds. Each of its steps computes one token of the answer of
each, and in between the prompts of those that follow on the ones that end:

    batch          = min(batch limit, KV capacity / (prompt + answer), what the tokens of a step suffice for)
    steps          = chunks of the prompt + answer - 1, while which a request is in the batch
    requests/s     = batch / (steps x mean step)
    TPOT           = mean step
    TTFT, unqueued = half a step that runs already + the steps with the chunks of the prompt

With speculative decoding, a step computes the proposed tokens of each request as well, and gives some of them:

    steps          = chunks of the prompt + (answer - 1) / accepted length
    TPOT           = mean step / accepted length

Shared prefixes and communication between GPUs are left out, see `plan.roofline`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.engines.registry import adapter_for
from mixserve.plan.speed_up import SpeculationSpeed, SpeedUp, expected_speed_up, model_roofline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.engine import Engine
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.roofline import Roofline


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What requests are like on average.

    The defaults are the means of the conversations in Azure's LLM inference traces of 2023, as those of
    `plan.memory.MEAN_CONTEXT_TOKENS`.

    Attributes:
        prompt_tokens: >= 1.
        answer_tokens: >= 1.
    """

    prompt_tokens: int = 1155
    answer_tokens: int = 211

    @property
    def tokens(self) -> int:
        """Prompt and answer together."""
        return self.prompt_tokens + self.answer_tokens


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One replica under a workload.

    Attributes:
        batch: requests that a full replica works on at once.
        tpot_s: seconds per output token in a full replica.
        tpot_alone_s: the same for a request that has the replica to itself.
        ttft_s: seconds to the first token of a request that enters a full replica without having to queue.
        ttft_alone_s: the same for a request that has the replica to itself.
        requests_per_s: what a full replica finishes.
        tokens_per_s: their tokens, prompts and answers.
        answer_tokens_per_s: those of the answers alone.
        speed_up: what speculative decoding does to a full replica; None without it, and where what proposes tokens is
            not known: then it counts for nothing.
        speed_up_alone: the same for a request that has the replica to itself.
    """

    batch: int
    tpot_s: float
    tpot_alone_s: float
    ttft_s: float
    ttft_alone_s: float
    requests_per_s: float
    tokens_per_s: float
    answer_tokens_per_s: float
    speed_up: SpeedUp | None = None
    speed_up_alone: SpeedUp | None = None


def predict(
    plan: MemoryPlan,
    *,
    accelerator: AcceleratorClassSpec,
    engine: Engine,
    workload: Workload,
    pair: SpeculativePairSpec | None = None,
) -> Prediction | None:
    """Predict what one replica does; None where it does not start, or takes no requests of these lengths.

    Args:
        plan: the replica's memory.
        accelerator: its GPUs.
        engine: the pool's engine section.
        workload: what requests are like.
        pair: what proposes tokens, with which the plan was made; None without speculative decoding.
    """
    if not plan.fits or workload.tokens > plan.context_tokens:
        return None
    speed = _speed(plan, pair, accelerator=accelerator, workload=workload)
    roofline = model_roofline(plan, accelerator=accelerator, context_tokens=workload.tokens)
    limits = _Limits.of(plan, accelerator=accelerator, engine=engine, workload=workload)
    batch = limits.batch(workload, _Proposals.at(speed, batch=limits.most))
    full = _Load(roofline, limits, workload=workload, batch=batch, proposals=_Proposals.at(speed, batch=batch))
    alone = _Load(roofline, limits, workload=workload, batch=1, proposals=_Proposals.at(speed, batch=1))
    requests_per_s = full.batch / (full.steps * full.mean_step_s)
    return Prediction(
        batch=full.batch,
        tpot_s=full.mean_step_s / full.accepted_length,
        tpot_alone_s=alone.decode_step_s / alone.accepted_length,
        ttft_s=full.mean_step_s / 2 + full.prompt_s,
        ttft_alone_s=alone.prompt_s,
        requests_per_s=requests_per_s,
        tokens_per_s=requests_per_s * workload.tokens,
        answer_tokens_per_s=requests_per_s * workload.answer_tokens,
        speed_up=None if speed is None else expected_speed_up(speed, batch=full.batch),
        speed_up_alone=None if speed is None else expected_speed_up(speed, batch=1),
    )


def _speed(
    plan: MemoryPlan,
    pair: SpeculativePairSpec | None,
    *,
    accelerator: AcceleratorClassSpec,
    workload: Workload,
) -> SpeculationSpeed | None:
    if pair is None:
        return None
    return SpeculationSpeed.of(pair, plan, accelerator=accelerator, context_tokens=workload.tokens)


@dataclass(frozen=True, kw_only=True)
class _Proposals:
    """What is proposed per request and step.

    Attributes:
        tokens: how many, >= 0.
        accepted_length: tokens that a step gives, >= 1.
        draft_s: seconds that a step takes to propose them.
    """

    tokens: int = 0
    accepted_length: float = 1.0
    draft_s: float = 0.0

    @classmethod
    def at(cls, speed: SpeculationSpeed | None, *, batch: int) -> _Proposals:
        """With `batch` requests at once, by what is usual for the method."""
        if speed is None:
            return cls()
        expected = expected_speed_up(speed, batch=batch)
        return cls(
            tokens=expected.tokens,
            accepted_length=expected.accepted_length,
            draft_s=speed.draft_s(batch=batch, tokens=expected.tokens),
        )


@dataclass(frozen=True, kw_only=True)
class _Limits:
    """What one step takes at most.

    Attributes:
        sequences: requests.
        step_tokens: tokens; None where raw arguments make it another number than the engine's default.
        held: requests whose keys and values there is room for.
    """

    sequences: int
    step_tokens: int | None
    held: int

    @classmethod
    def of(
        cls,
        plan: MemoryPlan,
        *,
        accelerator: AcceleratorClassSpec,
        engine: Engine,
        workload: Workload,
    ) -> _Limits:
        adapter, batching = adapter_for(engine.type), engine.batching
        memory, capability = accelerator.memory, accelerator.compute_capability
        return cls(
            sequences=batching.max_sequences
            or adapter.default_max_sequences(memory_bytes=memory, compute_capability=capability),
            step_tokens=batching.max_batched_tokens
            or adapter.default_max_batched_tokens(engine, memory_bytes=memory, compute_capability=capability),
            held=int(plan.concurrency(workload.tokens)),
        )

    @property
    def most(self) -> int:
        """Requests at once where steps are not short of tokens; at least 1."""
        return max(1, min(self.sequences, self.held))

    def batch(self, workload: Workload, proposals: _Proposals) -> int:
        """Requests at once; at least 1.

        Answers count in full, so that nothing has to be computed again. Where steps are short of tokens, prompts come
        into the batch no faster than they leave it: batch x (1 + prompt / answer) tokens a step, and with proposals
        batch x (1 + proposed + prompt x accepted length / answer).
        """
        if self.step_tokens is None:
            return self.most
        answer = workload.answer_tokens
        per_request = (1 + proposals.tokens) * answer + workload.prompt_tokens * proposals.accepted_length
        return max(1, min(self.most, int(self.step_tokens * answer // per_request)))

    def chunk(self, workload: Workload, *, batch: int, proposals: _Proposals) -> int:
        """Tokens of a prompt that one step computes beside the answers of the batch; at least 1."""
        if self.step_tokens is None:
            return workload.prompt_tokens
        others = (batch - 1) * (1 + proposals.tokens)
        return max(1, min(workload.prompt_tokens, self.step_tokens - others))


class _Load:
    """A replica that works on `batch` requests at once, on and on."""

    def __init__(
        self,
        roofline: Roofline,
        limits: _Limits,
        *,
        workload: Workload,
        batch: int,
        proposals: _Proposals,
    ) -> None:
        self._roofline, self._workload, self.batch = roofline, workload, batch
        self._proposals = proposals
        self._chunk = limits.chunk(workload, batch=batch, proposals=proposals)
        self._chunks = math.ceil(workload.prompt_tokens / self._chunk)

    @property
    def accepted_length(self) -> float:
        """Tokens of an answer that a step gives."""
        return self._proposals.accepted_length

    @property
    def steps(self) -> float:
        """Steps that a request is in the batch; the last chunk of its prompt gives the first token."""
        return self._chunks + (self._workload.answer_tokens - 1) / self.accepted_length

    @property
    def decode_step_s(self) -> float:
        """A step that computes answers only."""
        return self._step_s(prompt_chunks=0)

    @property
    def mean_step_s(self) -> float:
        """A step on average over time.

        Requests end independently of each other, so what a step has of new prompts is a Poisson number of chunks.
        """
        mean = self.batch * self._chunks / self.steps
        shares = list(_poisson(mean))
        return sum(share * self._step_s(prompt_chunks=count) for count, share in enumerate(shares)) / sum(shares)

    @property
    def prompt_s(self) -> float:
        """The steps that compute one prompt, beside the answers of the others."""
        return self._chunks * self._step_s(prompt_chunks=1)

    def _step_s(self, *, prompt_chunks: int) -> float:
        """A step that computes this many chunks, and of each other request a token of the answer and what is proposed.

        It reads all of the prompt and of the answer of each: halfway through on average, but long answers are there for
        longer. In Azure's conversations it is 80 % of the mean answer.
        """
        answers = max(0, self.batch - prompt_chunks)
        chunk_tokens = self._workload.prompt_tokens / self._chunks
        step_s = self._roofline.step_s(
            batch_tokens=answers * (1 + self._proposals.tokens) + prompt_chunks * chunk_tokens,
            context_tokens=self.batch * self._workload.tokens,
        )
        return step_s + (self._proposals.draft_s if answers else 0.0)


def _poisson(mean: float) -> Iterator[float]:
    """The probabilities of 0, 1, 2, ..., as far as they count: six standard deviations above the mean."""
    for count in range(math.ceil(mean + 6 * math.sqrt(mean)) + 2):
        yield math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
