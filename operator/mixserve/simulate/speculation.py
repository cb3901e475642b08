"""Speculative decoding in a simulated engine: how many tokens are proposed, and how many of them are kept.

Each proposed token is kept with the same probability if the one before it was, so that a step with k of them keeps
a + a^2 + ... + a^k on average. Nothing is drawn: the drafts of an engine go through the interval from 0 to 1 in steps
of the golden ratio, which fills it evenly, and a draft at u keeps j tokens as long as u < a^j.
"""

from __future__ import annotations

from dataclasses import dataclass

_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, kw_only=True)
class SimulatedSpeculation:
    """What proposes tokens.

    Attributes:
        tokens: proposed per request and step, at least 1.
        acceptance: probability that a proposed token is kept if the one before it was, 0 to 1.
        schedule: largest batch sizes and the tokens up to them, growing; larger batches get none. Empty: `tokens` for
            every batch.
        draft_bytes: weights of a draft over all GPUs, which take memory and are read for each proposed token.
    """

    tokens: int
    acceptance: float
    schedule: tuple[tuple[int, int], ...] = ()
    draft_bytes: int = 0

    def tokens_at(self, batch: int) -> int:
        """Tokens that are proposed with `batch` requests at once."""
        if not self.schedule:
            return self.tokens
        return next((tokens for largest, tokens in self.schedule if batch <= largest), 0)

    def kept(self, draft: int, proposed: int) -> int:
        """How many of `proposed` tokens the draft with this number, from 0, keeps."""
        place = draft * _GOLDEN_RATIO % 1
        return next((kept for kept in range(proposed) if place >= self.acceptance ** (kept + 1)), proposed)


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftCounts:
    """What one step proposed, and what was kept of it.

    Attributes:
        drafts: requests that were proposed something.
        proposed: tokens.
        kept: tokens, by their place in the draft.
    """

    drafts: int = 0
    proposed: int = 0
    kept: tuple[int, ...] = ()

    @property
    def accepted(self) -> int:
        """All tokens that were kept."""
        return sum(self.kept)


NO_DRAFTS = DraftCounts()
"""Of a step in which nothing was proposed."""
