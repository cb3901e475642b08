"""Rendezvous hashing: an order of endpoints for every key, the same in every process that knows the same endpoints.

Each endpoint gets a pseudo-random score for each key, and the highest comes first. When an endpoint comes, only the
keys that it is now first for move, 1/n of all; when one goes, only its own do (Thaler and Ravishankar, 1998). Scores
cost 0.2 us each, so keys are folded into `SLOTS` slots whose orders are kept.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SLOTS = 8192
"""Orders that are kept at most. With 200 endpoints each is first for 41 slots, give or take 16 %."""
ORDER_LENGTH = 8
"""Endpoints of an order: if so many carry too much, the least loaded is as good as any."""

_MASK = 2**64 - 1
# Odd constants of SplitMix64 (Steele, Lea and Flood, 2014), whose finaliser this is.
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mixed(value: int) -> int:
    """A number from 0 to 2**64 - 1 whose bits all depend on all bits of `value` (0 to 2**64 - 1)."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


class Rendezvous:
    """The orders for one set of endpoints.

    Args:
        names: of the endpoints; an order is made of their positions in here.
    """

    def __init__(self, names: Sequence[str]) -> None:
        # Two different checks make 64 bits, so that no two endpoints of a pool collide.
        self._hashes = [mixed(crc32(name.encode()) << 32 | crc32(name.encode(), 1)) for name in names]
        self._orders: dict[int, tuple[int, ...]] = {}

    def order(self, key: int) -> tuple[int, ...]:
        """Positions of the first `ORDER_LENGTH` endpoints for a key (0 to 2**64 - 1), the best first."""
        slot = mixed(key) % SLOTS
        order = self._orders.get(slot)
        if order is None:
            order = self._orders[slot] = self.ranked(slot, range(len(self._hashes)))[:ORDER_LENGTH]
        return order

    def ranked(self, key: int, positions: Iterable[int]) -> tuple[int, ...]:
        """These positions alone in the order for a key; nothing is kept of it."""
        return tuple(sorted(positions, key=partial(self._score, mixed(key)), reverse=True))

    def _score(self, slot: int, position: int) -> int:
        return mixed(slot ^ self._hashes[position])
