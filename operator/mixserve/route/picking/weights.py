"""`LeastLoad`: weights of Envoy's endpoints from the engines' load, so that Envoy alone can balance.

Envoy's least-request policy divides a weight by its own active requests + 1 and takes endpoints in that proportion; the
weight adds what Envoy does not see: what waits in an engine, how full its KV cache is, and what came through other
replicas of the gateway.

    weight = MEAN_WEIGHT * (mean load + 1) / (load + 1), within MIN_WEIGHT and MAX_WEIGHT

With the load of `load.sample_load`, smoothed. Weights that are all equal let Envoy choose the better of two random
endpoints, which is steadier than weights that say little, so a weight changes only by `SMALLEST_CHANGE` or more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixserve.route.picking.load import FULL_KV_CACHE, sample_load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.route.picking.endpoint import Endpoint

MAX_WEIGHT = 128
"""The largest that Envoy takes for an endpoint."""
MEAN_WEIGHT = 64
"""Of an endpoint with average load."""
MIN_WEIGHT = 8
"""An eighth of the average: a busy endpoint is still asked, or its load would be known by its past alone."""
SMALLEST_CHANGE = 16
"""A quarter of the average. Smaller changes cost an update of Envoy, and are noise of single requests."""
SMOOTHING = 0.3
"""Share of the newest sample: a load counts for about three scrapes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadWeights:
    """Weights with what the next ones are smoothed from.

    Attributes:
        weights: address to weight, 1 to `MAX_WEIGHT`; every ready endpoint has one.
        smoothed_loads: address to load in requests, >= 0.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    smoothed_loads: Mapping[str, float] = field(default_factory=dict)


def load_weights(
    endpoints: Sequence[Endpoint],
    *,
    before: LoadWeights,
    now_s: float,
) -> LoadWeights:
    """Weights for the next EDS file; where `weights` are those of before, there is nothing to write.

    Args:
        endpoints: those that may get requests.
        before: what this returned last for the pool; `LoadWeights()` at first.
        now_s: the clock that `scraped_at_s` of the samples was read from.
    """
    loads = _smoothed(_loads(endpoints, now_s), before.smoothed_loads)
    mean = sum(loads.values()) / max(1, len(loads))
    weights = {
        address: _steady(_weight(load, mean), before.weights.get(address, MEAN_WEIGHT))
        for address, load in loads.items()
    }
    return LoadWeights(weights=weights, smoothed_loads=loads)


def _loads(endpoints: Sequence[Endpoint], now_s: float) -> dict[str, float]:
    """Load by address; without fresh metrics, or with a full KV cache, that of the busiest."""
    samples = {endpoint.address: endpoint.fresh_sample(now_s) for endpoint in endpoints}
    busiest = max((sample_load(sample) for sample in samples.values() if sample is not None), default=0.0)
    return {
        address: busiest if sample is None or sample.kv_cache_usage >= FULL_KV_CACHE else sample_load(sample)
        for address, sample in samples.items()
    }


def _smoothed(loads: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {address: load + (1 - SMOOTHING) * (before.get(address, load) - load) for address, load in loads.items()}


def _weight(load: float, mean: float) -> int:
    return max(MIN_WEIGHT, min(MAX_WEIGHT, round(MEAN_WEIGHT * (mean + 1) / (load + 1))))


def _steady(weight: int, before: int) -> int:
    return weight if abs(weight - before) >= SMALLEST_CHANGE else before
