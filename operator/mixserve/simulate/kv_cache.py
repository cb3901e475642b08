"""The KV cache: a fixed number of blocks, some in use by requests, some kept for prompts that begin alike.

A block in use counts as usage, once, however many requests share it. A block that no request uses is free, even
while it still holds a prefix: it is taken back, the least recently used first, when blocks without content run out.
Only counts and hashes are kept; which physical block holds what does not matter to time or memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class BlockLease:
    """The blocks of one request, in order: those with a published hash, and the number of private ones."""

    hashes: list[int] = field(default_factory=list)
    private: int = 0

    @property
    def blocks(self) -> int:
        """Blocks that the request holds."""
        return len(self.hashes) + self.private


class BlockPool:
    """The blocks of one engine."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self._empty = blocks
        # Hash of a block in use to the number of leases that hold it.
        self._referenced: dict[int, int] = {}
        # Hashes of cached blocks that nobody uses, the least recently used first; a dict keeps that order.
        self._idle: dict[int, None] = {}

    @property
    def free(self) -> int:
        """Blocks that a request could get now, cached ones included."""
        return self._empty + len(self._idle)

    @property
    def usage(self) -> float:
        """Share of the blocks that requests use, 0 to 1."""
        return 1 - self.free / self.blocks

    def cached_prefix(self, hashes: Sequence[int]) -> int:
        """How many blocks at the beginning of `hashes` are in the cache."""
        for count, block in enumerate(hashes):
            if block not in self._referenced and block not in self._idle:
                return count
        return len(hashes)

    def fits(self, *, private: int, shared: Sequence[int] = ()) -> bool:
        """Whether `shared` cached blocks and `private` new ones could be had together."""
        return private + sum(block in self._idle for block in shared) <= self.free

    def acquire(
        self,
        lease: BlockLease,
        *,
        private: int,
        shared: Sequence[int] = (),
    ) -> bool:
        """Add `shared` cached blocks and `private` new ones to a lease, or change nothing if there are too few."""
        if not self.fits(private=private, shared=shared):
            return False
        for block in shared:
            self._idle.pop(block, None)
            self._referenced[block] = self._referenced.get(block, 0) + 1
        lease.hashes.extend(shared)
        self._evict_until_empty(private)
        self._empty -= private
        lease.private += private
        return True

    def _evict_until_empty(self, blocks: int) -> None:
        while self._empty < blocks:
            del self._idle[next(iter(self._idle))]
            self._empty += 1

    def publish(self, lease: BlockLease, block: int) -> None:
        """Let other requests find one of the lease's private blocks, now computed, under its hash.

        If the cache has that content already, from a request that was computed at the same time, the block stays
        private: a copy, as in vLLM.
        """
        if block in self._referenced or block in self._idle:
            return
        lease.private -= 1
        lease.hashes.append(block)
        self._referenced[block] = 1

    def release(self, lease: BlockLease) -> None:
        """Give all blocks back; published ones stay cached, the end of the sequence being the first to go."""
        for block in reversed(lease.hashes):
            self._referenced[block] -= 1
            if not self._referenced[block]:
                del self._referenced[block]
                self._idle[block] = None
        lease.hashes.clear()
        self._empty += lease.private
        lease.private = 0
