from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mixserve.simulate.kv_cache import BlockLease, BlockPool


def leased(pool: BlockPool, *hashes: int, private: int = 0) -> BlockLease:
    """A lease with published blocks and private ones."""
    lease = BlockLease()
    assert pool.acquire(lease, private=len(hashes) + private)
    for block in hashes:
        pool.publish(lease, block)
    return lease


def test_a_new_pool_is_free() -> None:
    pool = BlockPool(8)
    assert (pool.free, pool.usage) == (8, 0.0)


def test_private_blocks_count_as_usage_until_released() -> None:
    pool = BlockPool(8)
    lease = leased(pool, private=2)
    assert (lease.blocks, pool.usage) == (2, 0.25)
    pool.release(lease)
    assert (lease.blocks, pool.usage) == (0, 0.0)


def test_too_few_blocks_change_nothing() -> None:
    pool = BlockPool(3)
    lease = leased(pool, private=2)
    assert not pool.acquire(lease, private=2)
    assert (lease.blocks, pool.free) == (2, 1)


def test_a_shared_block_counts_once() -> None:
    pool = BlockPool(4)
    leased(pool, 11, 12)
    other = BlockLease()
    assert pool.acquire(other, shared=[11, 12], private=1)
    assert (other.blocks, pool.free) == (3, 1)


def test_a_cached_block_that_nobody_uses_is_free_but_found() -> None:
    pool = BlockPool(4)
    pool.release(leased(pool, 11, 12))
    assert (pool.usage, pool.cached_prefix([11, 12, 13])) == (0.0, 2)


def test_a_prefix_ends_where_a_block_is_missing() -> None:
    pool = BlockPool(4)
    leased(pool, 11, 13)
    assert pool.cached_prefix([11, 12, 13]) == 1


def test_a_block_in_use_is_never_taken() -> None:
    pool = BlockPool(4)
    leased(pool, 11, 12)
    assert not pool.acquire(BlockLease(), private=3)
    assert pool.cached_prefix([11, 12]) == 2


def test_empty_blocks_go_before_cached_ones() -> None:
    pool = BlockPool(4)
    pool.release(leased(pool, 11, 12))
    assert pool.acquire(BlockLease(), private=2)
    assert pool.cached_prefix([11, 12]) == 2


def test_the_least_recently_used_prefix_is_evicted_first() -> None:
    pool = BlockPool(4)
    older = leased(pool, 11, 12)
    newer = leased(pool, 21, 22)
    pool.release(older)
    pool.release(newer)
    reader = BlockLease()
    assert pool.acquire(reader, shared=[11, 12], private=0)
    pool.release(reader)
    assert pool.acquire(BlockLease(), private=2)
    assert (pool.cached_prefix([11, 12]), pool.cached_prefix([21, 22])) == (2, 0)


def test_of_one_sequence_the_end_is_evicted_first() -> None:
    pool = BlockPool(3)
    pool.release(leased(pool, 11, 12, 13))
    assert pool.acquire(BlockLease(), private=1)
    assert pool.cached_prefix([11, 12, 13]) == 2


def test_a_hit_is_not_evicted_for_the_same_requests_other_blocks() -> None:
    pool = BlockPool(3)
    pool.release(leased(pool, 11, 12, 13))
    assert not pool.acquire(BlockLease(), shared=[11, 12], private=2)
    lease = BlockLease()
    assert pool.acquire(lease, shared=[11, 12], private=1)
    assert (lease.blocks, pool.cached_prefix([11, 12, 13])) == (3, 2)


def test_the_same_content_computed_twice_is_a_copy() -> None:
    pool = BlockPool(4)
    first, second = leased(pool, 11), leased(pool, 11)
    assert (first.private, second.private, pool.free) == (0, 1, 2)
    pool.release(first)
    assert pool.cached_prefix([11]) == 1
    third = leased(pool, 11)
    assert third.private == 1


class PoolOfBlocks(RuleBasedStateMachine):
    """Any order of calls keeps every block in exactly one place."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(12)
        self.leases: list[BlockLease] = []

    @rule(start=st.integers(0, 3), length=st.integers(0, 5), private=st.integers(0, 6))
    def admit(self, start: int, length: int, private: int) -> None:
        hashes = [start * 10 + index for index in range(length)]
        hit = self.pool.cached_prefix(hashes)
        lease, free = BlockLease(), self.pool.free
        if self.pool.acquire(lease, shared=hashes[:hit], private=private):
            self.leases.append(lease)
            for block in hashes[hit : hit + private]:
                self.pool.publish(lease, block)
            assert lease.blocks == hit + private
        else:
            assert (lease.blocks, self.pool.free) == (0, free)

    @rule(pick=st.integers(0, 100), blocks=st.integers(1, 4))
    def grow(self, pick: int, blocks: int) -> None:
        if self.leases:
            lease = self.leases[pick % len(self.leases)]
            fits, before = blocks <= self.pool.free, lease.blocks
            assert self.pool.acquire(lease, private=blocks) is fits
            assert lease.blocks == before + (blocks if fits else 0)

    @rule(pick=st.integers(0, 100))
    def release(self, pick: int) -> None:
        if self.leases:
            self.pool.release(self.leases.pop(pick % len(self.leases)))

    @invariant()
    def blocks_are_conserved(self) -> None:
        shared = {block for lease in self.leases for block in lease.hashes}
        used = len(shared) + sum(lease.private for lease in self.leases)
        assert used + self.pool.free == self.pool.blocks
        assert self.pool.free >= 0
        assert self.pool.usage == pytest.approx(used / self.pool.blocks)

    @invariant()
    def blocks_in_use_stay_cached(self) -> None:
        for lease in self.leases:
            for block in lease.hashes:
                assert self.pool.cached_prefix([block]) == 1

    def teardown(self) -> None:
        for lease in self.leases:
            self.pool.release(lease)
        assert self.pool.free == self.pool.blocks


TestPoolOfBlocks = PoolOfBlocks.TestCase
TestPoolOfBlocks.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
