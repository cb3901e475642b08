"""The numbers that picking turns on. Each was chosen by measurement: docs/endpoint-picking.md has the sweep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadBound:
    """Load up to which an endpoint gets what belongs to it: `times` the mean of the pool plus `slack` requests.

    Without slack an idle pool would send everything elsewhere: one request on four endpoints is four times the mean.
    """

    times: float
    slack: float

    def load(self, mean: float) -> float:
        """The bound in requests."""
        return self.times * mean + self.slack


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """How `PrefixAware` weighs affinity against load.

    Attributes:
        kept_bound: for requests whose key came before, so that their endpoint may hold their prefix.
        new_bound: for requests whose key is new: they have less to lose elsewhere.
        largest_share: of an endpoint's requests, that one key may bring; with more, the key reaches further into the
            prompt. Infinite: the first block is the key; 0: all of the prompt.
        running_weight: what a running request counts beside a waiting one. Most running ones only decode, which delays
            others little; with 1, times to the first token are worse than round robin's.
        samples_kept: a pick counts until this many newer samples have come, 1 or 2. An engine's numbers are those of
            its last step, in which the newest requests are not yet; forgotten with the next sample, they would be
            followed by more.
        length_share: of a pick's load, what goes by the length of its prompt rather than being the same for all.
    """

    kept_bound: LoadBound = LoadBound(times=1.5, slack=1.0)
    new_bound: LoadBound = LoadBound(times=1.1, slack=0.5)
    largest_share: float = 0.5
    running_weight: float = 0.25
    samples_kept: int = 2
    length_share: float = 0.8


TUNING = Tuning()
