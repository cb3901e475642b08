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
from mixserve.simulate.roofline import draft_step_s, roofline_of
from mixserve.simulate.speculation import NO_DRAFTS, DraftCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
        drafts: what was proposed, and kept of it.
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
    drafts: DraftCounts = NO_DRAFTS

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
        self._drafts = 0

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
        return self._complete(batch, now_s, self._duration_s(batch) if batch.work else 0.0)

    def _duration_s(self, batch: Batch) -> float:
        """The step, and before it the draft's, one for each token of the longest draft."""
        longest = max(sequence.proposed for sequence, _ in batch.work)
        step_s = self._roofline.step_s(batch_tokens=batch.tokens, context_tokens=batch.context_tokens)
        return step_s + longest * draft_step_s(self.settings)

    def _kept(self, sequence: Sequence) -> int:
        """How many of a sequence's proposed tokens the model keeps."""
        speculation = self.settings.speculation
        if speculation is None or sequence.proposed == 0:
            return 0
        self._drafts += 1
        return speculation.kept(self._drafts - 1, sequence.proposed)

    def _complete(self, batch: Batch, now_s: float, duration_s: float) -> Step:
        ended_at_s = now_s + duration_s
        tokens: dict[str, int] = {}
        first_tokens: list[FirstToken] = []
        inter_token_s: list[float] = []
        finished: list[FinishedRequest] = []
        drafts: list[tuple[int, int]] = []
        for sequence, computed in batch.work:
            sequence.computed += computed - sequence.proposed
            if sequence.computed < sequence.length:
                continue  # one chunk of a prefill
            kept = self._kept(sequence)
            if sequence.proposed:
                drafts.append((sequence.proposed, kept))
            # What was proposed and not kept is computed in vain; its keys and values are overwritten.
            sequence.computed += kept
            sequence.generated += 1 + kept
            tokens[sequence.request.request_id] = 1 + kept
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
            drafts=_counts(drafts),
        )


def _counts(drafts: Iterable[tuple[int, int]]) -> DraftCounts:
    """From tokens proposed and kept, draft by draft."""
    found = list(drafts)
    longest = max((proposed for proposed, _ in found), default=0)
    return DraftCounts(
        drafts=len(found),
        proposed=sum(proposed for proposed, _ in found),
        kept=tuple(sum(kept > place for _, kept in found) for place in range(longest)),
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
