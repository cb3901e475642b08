"""How fast a replica would be at given lengths of prompt and answer: predicted by the roofline, never measured.

A replica that is full works on as many requests as it holds. Each of its steps computes one token of the answer of
each, and in between the prompts of those that follow on the ones that end:

    batch          = min(batch limit, KV capacity / (prompt + answer), what the tokens of a step suffice for)
    steps          = chunks of the prompt + answer - 1, while which a request is in the batch
    requests/s     = batch / (steps x mean step)
    TPOT           = mean step
    TTFT, unqueued = half a step that runs already + the steps with the chunks of the prompt

Speculation, shared prefixes and communication between GPUs are left out, see `plan.roofline`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.engines.registry import adapter_for
from mixserve.plan.roofline import Roofline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.engine import Engine
    from mixserve.plan.memory import MemoryPlan

_GIGA, _TERA = 10**9, 10**12


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
    """

    batch: int
    tpot_s: float
    tpot_alone_s: float
    ttft_s: float
    ttft_alone_s: float
    requests_per_s: float
    tokens_per_s: float
    answer_tokens_per_s: float


def predict(
    plan: MemoryPlan,
    *,
    accelerator: AcceleratorClassSpec,
    engine: Engine,
    workload: Workload,
) -> Prediction | None:
    """Predict what one replica does; None where it does not start, or takes no requests of these lengths."""
    if not plan.fits or workload.tokens > plan.context_tokens:
        return None
    roofline = _roofline(plan, accelerator=accelerator, workload=workload)
    limits = _Limits.of(plan, accelerator=accelerator, engine=engine, workload=workload)
    full = _Load(roofline, limits, workload=workload, batch=limits.batch(workload))
    alone = _Load(roofline, limits, workload=workload, batch=1)
    requests_per_s = full.batch / (full.steps * full.mean_step_s)
    return Prediction(
        batch=full.batch,
        tpot_s=full.mean_step_s,
        tpot_alone_s=alone.decode_step_s,
        ttft_s=full.mean_step_s / 2 + full.prompt_s,
        ttft_alone_s=alone.prompt_s,
        requests_per_s=requests_per_s,
        tokens_per_s=requests_per_s * workload.tokens,
        answer_tokens_per_s=requests_per_s * workload.answer_tokens,
    )


def _roofline(
    plan: MemoryPlan,
    *,
    accelerator: AcceleratorClassSpec,
    workload: Workload,
) -> Roofline:
    """The formula's coefficients; where layers have windows, a token is what one of a mean request holds on average."""
    return Roofline.of(
        gpus=plan.tensor_parallel,
        memory_bandwidth_bytes_per_s=accelerator.memory_bandwidth * _GIGA,
        flops=accelerator.dense_teraflops.at(plan.compute_bits) * _TERA,
        parameters=plan.parameters,
        active_parameters=plan.active_parameters,
        weights_bytes=plan.weights_bytes,
        active_weights_bytes=plan.active_weights_bytes,
        kv_bytes_per_token=plan.kv.held(workload.tokens) / workload.tokens,
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

    def batch(self, workload: Workload) -> int:
        """Requests at once; at least 1.

        Answers count in full, so that nothing has to be computed again. Where steps are short of tokens, prompts come
        into the batch no faster than they leave it: batch x (1 + prompt / answer) tokens a step.
        """
        limits = [self.sequences, self.held]
        if self.step_tokens is not None:
            limits.append(self.step_tokens * workload.answer_tokens // workload.tokens)
        return max(1, *[min(limits)])

    def chunk(self, workload: Workload, batch: int) -> int:
        """Tokens of a prompt that one step computes beside the answers of the batch; at least 1."""
        if self.step_tokens is None:
            return workload.prompt_tokens
        return max(1, min(workload.prompt_tokens, self.step_tokens - batch + 1))


class _Load:
    """A replica that works on `batch` requests at once, on and on."""

    def __init__(
        self,
        roofline: Roofline,
        limits: _Limits,
        *,
        workload: Workload,
        batch: int,
    ) -> None:
        self._roofline, self._workload, self.batch = roofline, workload, batch
        self._chunk = limits.chunk(workload, batch)
        self._chunks = math.ceil(workload.prompt_tokens / self._chunk)

    @property
    def steps(self) -> int:
        """Steps that a request is in the batch; the last chunk of its prompt gives the first token."""
        return self._chunks + self._workload.answer_tokens - 1

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
        """A step that computes this many chunks, and a token of the answer of each other request.

        It reads all of the prompt and of the answer of each: halfway through on average, but long answers are there for
        longer. In Azure's conversations it is 80 % of the mean answer.
        """
        answers = max(0, self.batch - prompt_chunks)
        chunk_tokens = self._workload.prompt_tokens / self._chunks
        return self._roofline.step_s(
            batch_tokens=answers + prompt_chunks * chunk_tokens,
            context_tokens=self.batch * self._workload.tokens,
        )


def _poisson(mean: float) -> Iterator[float]:
    """The probabilities of 0, 1, 2, ..., as far as they count: six standard deviations above the mean."""
    for count in range(math.ceil(mean + 6 * math.sqrt(mean)) + 2):
        yield math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
