"""Sums over the records of a gateway's replica since it was made, which survive a restart of this process.

They are kept beside the position in the log up to which it was counted, and both are written at once: whatever happens,
each line counts exactly once.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mixserve.gateway.accounting.record import Record
    from mixserve.route.table import Prices

DURATION_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""From an answer of the cache to a long chain of thought."""
FIRST_BYTE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_MILLION = Decimal(10**6)


class Where(msgspec.Struct, frozen=True):
    """Who decided and who answered; empty for nobody."""

    policy: str
    tier: str
    pool: str


class Histogram(msgspec.Struct):
    """How often which size came: `counts` has one entry for each bucket, and one for what is larger than all."""

    counts: list[int]
    total: float = 0.0

    def add(self, value: float, bounds: tuple[float, ...]) -> None:
        """Count a value; `bounds` are the buckets' upper ones, each included."""
        self.counts[bisect_left(bounds, value)] += 1
        self.total += value


class Sums(msgspec.Struct):
    """What all requests of one kind (`Where`) came to.

    Attributes:
        codes: requests by HTTP status, as text.
        prompt_tokens: of prompts, without those from the prefix cache.
        cached_tokens: of prompts, from the prefix cache.
        completion_tokens: of answers.
        cost_usd: by the prices of the pool that answered.
        dearest_cost_usd: what the same tokens would have cost from the policy's largest tier; as `cost_usd` where no
            policy decided.
        retries: tries beyond the first.
        without_usage: answered requests of which no tokens are known.
        broken_off: answers within which the engine failed.
        duration: of all answers, in seconds.
        first_byte: until streamed answers began, in seconds.
    """

    codes: dict[str, int] = msgspec.field(default_factory=dict)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    dearest_cost_usd: Decimal = Decimal(0)
    retries: int = 0
    without_usage: int = 0
    broken_off: int = 0
    duration: Histogram = msgspec.field(default_factory=lambda: Histogram([0] * (len(DURATION_BUCKETS_S) + 1)))
    first_byte: Histogram = msgspec.field(default_factory=lambda: Histogram([0] * (len(FIRST_BYTE_BUCKETS_S) + 1)))

    def add(self, record: Record, *, prices: Prices | None, dearest: Prices | None) -> None:
        """Take a record.

        Args:
            record: what Envoy saw.
            prices: of the pool that answered; None where they are not known.
            dearest: of the largest tier of the policy; None where nobody knows, or no policy decided.
        """
        code = str(record.status)
        self.codes[code] = self.codes.get(code, 0) + 1
        self.retries += max(0, (record.attempts or 1) - 1)
        self.broken_off += record.is_broken_off
        if record.duration_ms is not None:
            self.duration.add(record.duration_ms / 1000, DURATION_BUCKETS_S)
        if record.is_stream and record.first_byte_us is not None:
            self.first_byte.add(record.first_byte_us / 1_000_000, FIRST_BYTE_BUCKETS_S)
        usage = record.usage
        if usage is None or usage.prompt_tokens is None:
            # What Envoy answers itself, such as the list of models, has no pool.
            self.without_usage += record.status == HTTPStatus.OK and record.pool is not None
            return
        cached, completion = usage.cached_tokens, usage.completion_tokens or 0
        prompt = max(0, usage.prompt_tokens - cached)
        self.prompt_tokens += prompt
        self.cached_tokens += cached
        self.completion_tokens += completion
        if prices is None:
            return  # of what nobody knows the price of, nothing can have been saved either
        cost = _cost(prices, prompt, cached, completion)
        self.cost_usd += cost
        self.dearest_cost_usd += cost if dearest is None else _cost(dearest, prompt, cached, completion)


class Decisions(msgspec.Struct, frozen=True):
    """A kind of decision: the policy, the tier that it chose, why, and for which complexity."""

    policy: str
    tier: str
    cause: str
    complexity: str


class Totals(msgspec.Struct):
    """All sums, and how far the log was read.

    Attributes:
        inode: of the file that was read last; 0 for none.
        offset: bytes of it that are counted.
        unreadable: lines that were no records.
        sums: by who decided and who answered.
        decisions: how often each kind came.
    """

    inode: int = 0
    offset: int = 0
    unreadable: int = 0
    sums: list[tuple[Where, Sums]] = msgspec.field(default_factory=list)
    decisions: list[tuple[Decisions, int]] = msgspec.field(default_factory=list)


def _cost(prices: Prices, prompt: int, cached: int, completion: int) -> Decimal:
    return (prompt * prices.prompt + cached * prices.cached_prompt + completion * prices.completion) / _MILLION
