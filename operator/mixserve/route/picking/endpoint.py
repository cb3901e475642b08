"""An endpoint of a pool as picking sees it, and what came of a pick."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mixserve.api.observation import EngineSample, Missing

FRESH_S = 5.0
"""Older samples say nothing any more: ten scrapes of the gateway, and about the time in which a request is answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """An engine that may get requests: its pod is ready, neither draining nor ejected.

    Attributes:
        address: `ip:port`, an IPv6 address in brackets; unique in the pool.
        sample: its signals at the last scrape, or why there are none.
        adapters: names of the LoRA adapters that it holds in GPU memory; empty if that is not known.
    """

    address: str
    sample: EngineSample | Missing
    adapters: frozenset[str] = frozenset()

    def fresh_sample(self, now_s: float) -> EngineSample | None:
        """The sample unless it is missing or older than `FRESH_S`; never to be read as "idle" when None."""
        sample = self.sample
        if isinstance(sample, Missing) or now_s - sample.scraped_at_s > FRESH_S:
            return None
        return sample


class PickReason(StrEnum):
    """Why the first endpoint of a pick is first; also a metric label and part of the access log."""

    SESSION = "Session"
    """The session's requests go there."""
    PREFIX = "Prefix"
    """It should hold the beginning of the prompt, or is to hold it from now on."""
    ADAPTER = "Adapter"
    """It holds the LoRA adapter."""
    LEAST_LOAD = "LeastLoad"
    """Nothing speaks for any endpoint but its load."""
    SPILLED = "Spilled"
    """The one that affinity speaks for carries too much already."""
    BLIND = "Blind"
    """No endpoint has fresh metrics: affinity and own picks alone decide."""


@dataclass(frozen=True, slots=True)
class Pick:
    """Where a request goes.

    Attributes:
        addresses: one to three distinct endpoints in order of preference: the first try, then those for retries.
        reason: why the first is first.
    """

    addresses: tuple[str, ...]
    reason: PickReason
