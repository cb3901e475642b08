"""The status of a `SpeculativePair`: in which pools it works, and what it brings there.

What it brings moves with every request. So numbers are rounded, and stay as they were written until one of them has
moved so far that somebody would decide otherwise; the operator's metrics have them live.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from mixserve.api.names import ConditionType, Reason
from mixserve.api.speculative_pair_status import PairInPool, SpeculativePairStatus
from mixserve.plan.speed_up import expected_speed_up
from mixserve.status.one_condition import to_condition
from mixserve.status.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.plan.speed_up import SpeculationSpeed
    from mixserve.status.acceptance import Acceptance
    from mixserve.validate.violation import Violation

Match = Literal["True", "False", "Unknown"]

_HUNDREDTHS, _TENTHS = Decimal("0.01"), Decimal("0.1")
# What has moved less than this, nobody would change a pair for.
_RATE_MOVES, _LENGTH_MOVES, _SPEED_UP_MOVES = Decimal("0.05"), Decimal("0.15"), Decimal("0.2")
_ALONE = 1.0
# Larger or smaller by half: the batch decides by its order of magnitude.
_BATCH_MOVES = Decimal("1.5")


@dataclass(frozen=True, kw_only=True)
class PairAssessment:
    """What is known of a pair in a pool before anything runs.

    Attributes:
        generations: of the pool and of the pair, of which all this is known; of the pair None where there was none, or
            none that can be read.
        tokenizers_match: whether model and draft split text into the same tokens.
        violations: of the pool, as far as they are about the pair.
        speeds: by variant, what the expected speed-up is worked out from; None where numbers are not known.
    """

    generations: tuple[int, int | None]
    tokenizers_match: Match
    violations: Sequence[Violation] = ()
    speeds: Mapping[str, SpeculationSpeed | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PairUse:
    """A pool that names the pair, as it is now.

    Attributes:
        pool: its name.
        assessment: what is known without running it.
        variant: the first one that has ready replicas, or None.
        acceptance: how good the proposals were lately in the variant's replicas, or None where nothing is known.
        batch: requests at once in one of these replicas, > 0, or None where nothing has run lately.
    """

    pool: str
    assessment: PairAssessment
    variant: str | None = None
    acceptance: Acceptance | None = None
    batch: float | None = None

    @property
    def speed_up(self) -> float | None:
        """How many times as fast tokens should come at the batch, or to a request alone where nothing has run."""
        speed = None if self.variant is None else self.assessment.speeds.get(self.variant)
        if speed is None:
            return None
        length = None if self.acceptance is None else self.acceptance.length
        return expected_speed_up(speed, batch=self.batch or _ALONE, accepted_length=length).factor


def build_pair_status(
    *,
    generation: int,
    uses: Sequence[PairUse],
    previous: SpeculativePairStatus | None,
    numbers_may_move: bool,
    now_s: float,
) -> SpeculativePairStatus:
    """What is to be said of a pair.

    Args:
        generation: of its spec.
        uses: the pools that name it.
        previous: the status as it was written last.
        numbers_may_move: whether it is time for other numbers; else those that were written stay, unless now something
            was measured for the first time.
        now_s: seconds since the epoch.
    """
    same_spec = previous is not None and previous.observed_generation == generation
    before = {} if previous is None or not same_spec else {entry.name: entry for entry in previous.pools}
    ordered = sorted(uses, key=lambda use: use.pool)
    verdict, conditions = _judge(ordered), () if previous is None else previous.conditions
    return SpeculativePairStatus(
        observed_generation=generation,
        conditions=(to_condition(verdict, generation=generation, previous=conditions, now_s=now_s),),
        pools=tuple(_entry(use, before.get(use.pool), numbers_may_move=numbers_may_move) for use in ordered),
    )


def _judge(uses: Sequence[PairUse]) -> Verdict:
    kind = ConditionType.READY
    if not uses:
        return Verdict(kind, "Unknown", Reason.NOT_USED, "No pool names it, so it was checked against none")
    wrong = [(use.pool, violation) for use in uses for violation in use.assessment.violations]
    if wrong:
        told = ". ".join(f"LLMServingPool {pool}: {violation.message}" for pool, violation in wrong)
        return Verdict(kind, "False", wrong[0][1].reason, told)
    return Verdict(kind, "True", Reason.READY, "The pools that name it can use it")


def _entry(use: PairUse, before: PairInPool | None, *, numbers_may_move: bool) -> PairInPool:
    now = PairInPool(
        name=use.pool,
        tokenizers_match=use.assessment.tokenizers_match,
        variant=use.variant,
        acceptance_rate=None if use.acceptance is None else _text(use.acceptance.rate, _HUNDREDTHS),
        accepted_length=None if use.acceptance is None else _text(use.acceptance.length, _HUNDREDTHS),
        batch=None if use.variant is None else _text(use.batch or _ALONE, _TENTHS),
        expected_speed_up=_text(use.speed_up, _TENTHS),
    )
    if before is None or before.variant != use.variant:
        return now
    is_first = before.acceptance_rate is None and use.acceptance is not None
    if (numbers_may_move or is_first) and _says_something(use, before) and _has_moved(before, now):
        return now
    return now.model_copy(update={name: getattr(before, name) for name in _NUMBERS})


_NUMBERS = ("acceptance_rate", "accepted_length", "batch", "expected_speed_up")


def _says_something(use: PairUse, before: PairInPool) -> bool:
    """Whether there is anything new to be said.

    What was measured stays when nothing runs any more, and when the operator has just started: until enough tokens were
    proposed to say how many of them are kept.
    """
    return before.acceptance_rate is None or (use.acceptance is not None and use.batch is not None)


def _text(value: float | None, step: Decimal) -> str | None:
    return None if value is None else str(Decimal(str(value)).quantize(step))


def _has_moved(before: PairInPool, now: PairInPool) -> bool:
    return (
        _differs(before.acceptance_rate, now.acceptance_rate, _RATE_MOVES)
        or _differs(before.accepted_length, now.accepted_length, _LENGTH_MOVES)
        or _differs(before.expected_speed_up, now.expected_speed_up, _SPEED_UP_MOVES)
        or _is_another_size(before.batch, now.batch)
    )


def _differs(before: str | None, now: str | None, by: Decimal) -> bool:
    if before is None or now is None:
        return before != now
    return abs(Decimal(before) - Decimal(now)) >= by


def _is_another_size(before: str | None, now: str | None) -> bool:
    if before is None or now is None:
        return before != now
    small, large = sorted((Decimal(before), Decimal(now)))
    return large >= small * _BATCH_MOVES
