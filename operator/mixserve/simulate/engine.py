"""A simulated engine: submit requests, make steps, abort requests.

    engine = SimulatedEngineCore(settings)
    engine.submit(request, now_s)
    while engine.has_work:
        step = engine.step(now_s)
        now_s += step.duration_s        # the step's tokens come out now

A request that gets its last token in a step stays in the batch until the step is over, that is, until the next call
of `step`; with nothing left to do, that call returns a step of no duration and no tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.simulate.batch import Batch, ContinuousBatching, Sequence
from mixserve.simulate.kv_cache import BlockPool
from mixserve.simulate.memory import kv_budget
from mixserve.simulate.requests import FinishedRequest, Request
from mixserve.simulate.roofline import roofline_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.simulate.settings import EngineSettings


class RequestTooLongError(ValueError):
    """Prompt and answer together exceed max_model_len."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstToken:
    """A request's first token.

    Attributes:
        ttft_s: seconds since the request was submitted.
        cached_tokens: prompt tokens that the prefix cache supplied.
    """

    request_id: str
    ttft_s: float
    prompt_tokens: int
    cached_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one step did; its tokens come out at `ended_at_s`.

    Attributes:
        duration_s: 0 where there was nothing to do.
        tokens: request id to the number of its tokens that came out.
        first_tokens: for the requests among them that had none before.
        inter_token_s: seconds since the request's previous token, one for each of the others.
        finished: requests whose last token came out.
        batch_tokens: tokens computed, of prompts and answers.
        queried_tokens: prompt tokens looked up in the prefix cache.
        hit_tokens: how many of them it had.
        preemptions: requests that lost their KV blocks.
    """

    started_at_s: float
    duration_s: float
    tokens: Mapping[str, int]
    first_tokens: tuple[FirstToken, ...]
    inter_token_s: tuple[float, ...]
    finished: tuple[FinishedRequest, ...]
    batch_tokens: int
    queried_tokens: int
    hit_tokens: int
    preemptions: int

    @property
    def ended_at_s(self) -> float:
        """When the step is over."""
        return self.started_at_s + self.duration_s


class SimulatedEngineCore:
    """One engine; raises an `EngineStartError` where the real one would not start."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.kv_budget = kv_budget(settings)
        self._roofline = roofline_of(settings.hardware, settings.model)
        self._pool = BlockPool(self.kv_budget.blocks)
        self._batching = ContinuousBatching(settings, self._pool)
        self._sequences: dict[str, Sequence] = {}

    @property
    def has_work(self) -> bool:
        """Whether another step is due."""
        return bool(self._batching.running or self._batching.waiting)

    @property
    def running(self) -> int:
        """Requests in the batch."""
        return len(self._batching.running)

    @property
    def waiting(self) -> int:
        """Requests that the last step had no room for; as in vLLM, those that came since are not counted yet."""
        return min(self._batching.left_out, len(self._batching.waiting))

    @property
    def kv_cache_usage(self) -> float:
        """Share of the KV blocks that requests use, 0 to 1."""
        return self._pool.usage

    def submit(self, request: Request, now_s: float) -> None:
        """Put a request at the end of the queue.

        Raises:
            RequestTooLongError: its prompt and answer exceed max_model_len.
            ValueError: a request with its id is in the engine.
        """
        length = request.prompt_tokens + request.answer_tokens
        if length > self.settings.max_model_len:
            raise RequestTooLongError(
                f"request {request.request_id}: {length} tokens exceed max_model_len ({self.settings.max_model_len})"
            )
        if request.request_id in self._sequences:
            raise ValueError(f"request {request.request_id} is in the engine already")
        sequence = Sequence(request, queued_at_s=now_s)
        self._sequences[request.request_id] = sequence
        self._batching.waiting.append(sequence)

    def abort(self, request_id: str) -> bool:
        """Drop a request; False if the engine doesn't have it, because it finished or never came."""
        sequence = self._sequences.pop(request_id, None)
        if sequence is None:
            return False
        self._batching.remove(sequence)
        return True

    def step(self, now_s: float) -> Step:
        """Make the step that begins at `now_s`."""
        self._batching.retire_finished()
        batch = self._batching.schedule(now_s)
        duration_s = (
            self._roofline.step_s(batch_tokens=batch.tokens, context_tokens=batch.context_tokens) if batch.work else 0.0
        )
        return self._complete(batch, now_s, duration_s)

    def _complete(self, batch: Batch, now_s: float, duration_s: float) -> Step:
        ended_at_s = now_s + duration_s
        tokens: dict[str, int] = {}
        first_tokens: list[FirstToken] = []
        inter_token_s: list[float] = []
        finished: list[FinishedRequest] = []
        for sequence, computed in batch.work:
            sequence.computed += computed
            if sequence.computed < sequence.length:
                continue  # one chunk of a prefill
            sequence.generated += 1
            tokens[sequence.request.request_id] = 1
            if sequence.first_token_at_s is None:
                sequence.first_token_at_s = ended_at_s
                first_tokens.append(_first_token(sequence, ended_at_s))
            else:
                inter_token_s.append(ended_at_s - sequence.last_token_at_s)
            sequence.last_token_at_s = ended_at_s
            if sequence.finished:
                del self._sequences[sequence.request.request_id]
                finished.append(_finished(sequence))
        return Step(
            started_at_s=now_s,
            duration_s=duration_s,
            tokens=tokens,
            first_tokens=tuple(first_tokens),
            inter_token_s=tuple(inter_token_s),
            finished=tuple(finished),
            batch_tokens=batch.tokens,
            queried_tokens=batch.queried_tokens,
            hit_tokens=batch.hit_tokens,
            preemptions=batch.preemptions,
        )


def _first_token(sequence: Sequence, at_s: float) -> FirstToken:
    return FirstToken(
        request_id=sequence.request.request_id,
        ttft_s=at_s - sequence.queued_at_s,
        prompt_tokens=sequence.request.prompt_tokens,
        cached_tokens=sequence.cached_tokens,
    )


def _finished(sequence: Sequence) -> FinishedRequest:
    assert sequence.scheduled_at_s is not None
    assert sequence.first_token_at_s is not None
    return FinishedRequest(
        request=sequence.request,
        cached_tokens=sequence.cached_tokens,
        preemptions=sequence.preemptions,
        queued_at_s=sequence.queued_at_s,
        scheduled_at_s=sequence.scheduled_at_s,
        first_token_at_s=sequence.first_token_at_s,
        finished_at_s=sequence.last_token_at_s,
    )
