"""Which pools use an entry of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.catalog_status import MOST_POOLS_LISTED
from mixserve.plan.kv_cache import kv_cache_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.api.pool import LLMServingPool


@dataclass(frozen=True)
class Users:
    """The pools that use one entry.

    Attributes:
        pools: each as namespace/name, sorted.
    """

    pools: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.pools)

    @property
    def listed(self) -> tuple[str, ...]:
        """As many as a status names."""
        return self.pools[:MOST_POOLS_LISTED]


def formats_of(pool: LLMServingPool) -> frozenset[str]:
    """The QuantizationFormats that a pool names, whether they exist or not."""
    weights = {variant.quantization for variant in pool.spec.variants}
    kv_cache = kv_cache_name(pool.spec.engine)
    return frozenset(weights if kv_cache is None else {*weights, kv_cache})


def accelerators_of(pool: LLMServingPool) -> frozenset[str]:
    """The AcceleratorClasses that a pool names, whether they exist or not."""
    return frozenset(variant.accelerator for variant in pool.spec.variants)


def users_by_name(named: Mapping[str, Iterable[str]]) -> dict[str, Users]:
    """For each name its users.

    Args:
        named: by pool (namespace/name), the names that it uses.
    """
    found: dict[str, list[str]] = {}
    for pool in sorted(named):
        for name in named[pool]:
            found.setdefault(name, []).append(pool)
    return {name: Users(tuple(pools)) for name, pools in found.items()}
