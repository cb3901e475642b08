"""Continuous batching: which requests the next step works on, and with how many tokens each.

As vLLM's scheduler does it: first every running request in order of arrival (a decode is one token, a prefill as many
as the step has room for), then waiting ones, first come first served, as long as sequences, tokens and KV blocks
last. A waiting request is admitted when blocks for all of its prompt are free, though it takes them chunk by chunk
(vLLM reserves the full input length by default). When blocks run out under a running request, the latest arrival
loses its blocks, goes back to the head of the queue and will be computed again (preemption by recomputing).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixserve.simulate.kv_cache import BlockLease, BlockPool
from mixserve.simulate.memory import blocks_for

if TYPE_CHECKING:
    from mixserve.simulate.requests import Request
    from mixserve.simulate.settings import EngineSettings


@dataclass(slots=True, eq=False)
class Sequence:
    """A request in the engine and how far it has come.

    Attributes:
        lease: its KV blocks.
        computed: tokens whose keys and values are in the cache.
        generated: tokens of the answer so far.
        published: blocks that were looked at for the prefix cache.
        cached_tokens: prompt tokens that the prefix cache supplied at first.
        proposed: tokens that the step under way checks beside the one that is due.
    """

    request: Request
    queued_at_s: float
    lease: BlockLease = field(default_factory=BlockLease)
    computed: int = 0
    generated: int = 0
    published: int = 0
    cached_tokens: int = 0
    preemptions: int = 0
    proposed: int = 0
    scheduled_at_s: float | None = None
    first_token_at_s: float | None = None
    last_token_at_s: float = 0.0

    @property
    def length(self) -> int:
        """Tokens to compute before the next one comes out."""
        return self.request.prompt_tokens + self.generated

    @property
    def is_decoding(self) -> bool:
        """Whether the answer has begun, and only its newest token is still to be computed."""
        return self.generated > 0 and self.length - self.computed == 1

    @property
    def finished(self) -> bool:
        """Whether the answer is complete."""
        return self.generated == self.request.answer_tokens


@dataclass(slots=True)
class Batch:
    """One step's work.

    Attributes:
        work: sequences with the tokens to compute of each.
        tokens: the sum of those tokens.
        context_tokens: tokens whose keys and values the step reads.
        queried_tokens: prompt tokens that were looked up in the prefix cache.
        hit_tokens: how many of them it had.
        preemptions: requests that lost their blocks.
    """

    work: list[tuple[Sequence, int]] = field(default_factory=list)
    tokens: int = 0
    context_tokens: int = 0
    queried_tokens: int = 0
    hit_tokens: int = 0
    preemptions: int = 0

    def add(self, sequence: Sequence, tokens: int) -> None:
        """Put `tokens` more tokens of a sequence into the step."""
        self.work.append((sequence, tokens))
        self.tokens += tokens
        self.context_tokens += sequence.computed + tokens


class ContinuousBatching:
    """The queue and the running set of one engine.

    Attributes:
        left_out: how many the last step had no room for; whoever came since is not among them.
    """

    def __init__(self, settings: EngineSettings, pool: BlockPool) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.left_out = 0
        self._settings = settings
        self._pool = pool

    def schedule(self, now_s: float) -> Batch:
        """Choose the next step's work and take the blocks for it."""
        batch = Batch()
        self._schedule_running(batch)
        # After a preemption this admits nobody: the victim is first in line and does not fit.
        self._admit(batch, now_s)
        self.left_out = len(self.waiting)
        return batch

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out, running or waiting, and free its blocks."""
        (self.waiting if sequence in self.waiting else self.running).remove(sequence)
        self._pool.release(sequence.lease)

    def retire_finished(self) -> None:
        """Take out what finished in the last step and free its blocks."""
        for sequence in self.running:
            if sequence.finished:
                self._pool.release(sequence.lease)
        self.running = [sequence for sequence in self.running if not sequence.finished]

    def _schedule_running(self, batch: Batch) -> None:
        index, per_request = 0, self._proposals()
        while index < len(self.running) and batch.tokens < self._settings.max_num_batched_tokens:
            sequence = self.running[index]
            sequence.proposed = self._proposed(sequence, per_request, batch)
            tokens = self._share(batch, sequence.length + sequence.proposed - sequence.computed)
            if not self._make_room(sequence, tokens, batch):
                return
            batch.add(sequence, tokens)
            self._publish(sequence, sequence.computed + tokens - sequence.proposed)
            index += 1

    def _proposals(self) -> int:
        """Tokens that each request gets proposed, by how many there are."""
        speculation = self._settings.speculation
        return 0 if speculation is None else speculation.tokens_at(len(self.running))

    def _proposed(self, sequence: Sequence, per_request: int, batch: Batch) -> int:
        """Of those, as many as the answer still needs beside its next token, and as the step has room for."""
        if not sequence.is_decoding:
            return 0
        needed = sequence.request.answer_tokens - sequence.generated - 1
        room = self._settings.max_num_batched_tokens - batch.tokens - 1
        return max(0, min(per_request, needed, room))

    def _make_room(self, sequence: Sequence, tokens: int, batch: Batch) -> bool:
        """Get the blocks for `tokens` more tokens, preempting the latest arrivals; False if it had to go itself."""
        missing = self._missing_blocks(sequence, tokens)
        while missing > 0 and not self._pool.acquire(sequence.lease, private=missing):
            victim = self.running.pop()
            self._preempt(victim)
            batch.preemptions += 1
            if victim is sequence:
                return False
        return True

    def _preempt(self, victim: Sequence) -> None:
        self._pool.release(victim.lease)
        victim.computed = victim.proposed = 0
        victim.preemptions += 1
        self.waiting.appendleft(victim)

    def _admit(self, batch: Batch, now_s: float) -> None:
        settings = self._settings
        while (
            self.waiting
            and len(self.running) < settings.max_num_seqs
            and batch.tokens < settings.max_num_batched_tokens
        ):
            sequence = self.waiting[0]
            hit_blocks = self._take_cached_prefix(sequence, batch)
            if hit_blocks is None:
                return
            self._count_admission(sequence, hit_blocks * settings.block_size, batch, now_s)
            self.running.append(self.waiting.popleft())

    def _take_cached_prefix(self, sequence: Sequence, batch: Batch) -> int | None:
        """Get the blocks for a waiting sequence's first chunk; None if there are too few.

        The last token is always computed, since the next one comes from it.
        """
        size = self._settings.block_size
        hashes = self._hashes(sequence)[: (sequence.length - 1) // size]
        hit_blocks = self._pool.cached_prefix(hashes)
        hits = hashes[:hit_blocks]
        if not self._pool.fits(private=blocks_for(sequence.length, size) - hit_blocks, shared=hits):
            return None
        sequence.computed = hit_blocks * size
        tokens = self._share(batch, sequence.length - sequence.computed)
        private = blocks_for(sequence.computed + tokens, size) - hit_blocks
        self._pool.acquire(sequence.lease, private=private, shared=hits)
        batch.add(sequence, tokens)
        sequence.published = hit_blocks
        self._publish(sequence, sequence.computed + tokens)
        return hit_blocks

    def _count_admission(self, sequence: Sequence, hit_tokens: int, batch: Batch, now_s: float) -> None:
        if sequence.scheduled_at_s is not None:
            return  # a preempted request comes back; vLLM's counters leave that out
        sequence.scheduled_at_s = max(now_s, sequence.queued_at_s)
        sequence.cached_tokens = hit_tokens
        if self._settings.enable_prefix_caching:
            batch.queried_tokens += sequence.length
            batch.hit_tokens += hit_tokens

    def _share(self, batch: Batch, tokens: int) -> int:
        return min(tokens, self._settings.max_num_batched_tokens - batch.tokens)

    def _missing_blocks(self, sequence: Sequence, tokens: int) -> int:
        return blocks_for(sequence.computed + tokens, self._settings.block_size) - sequence.lease.blocks

    def _hashes(self, sequence: Sequence) -> tuple[int, ...]:
        return sequence.request.block_hashes if self._settings.enable_prefix_caching else ()

    def _publish(self, sequence: Sequence, computed: int) -> None:
        full_blocks = computed // self._settings.block_size
        if full_blocks > sequence.published:
            for block in self._hashes(sequence)[sequence.published : full_blocks]:
                self._pool.publish(sequence.lease, block)
            sequence.published = full_blocks
