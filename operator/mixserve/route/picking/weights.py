"""`LeastLoad`: weights of Envoy's endpoints from the engines' load, so that Envoy alone can balance.

Envoy's least-request policy divides a weight by its own active requests + 1 and takes endpoints in that proportion; the
weight adds what Envoy does not see: how long those requests are, and what came through other replicas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.route.picking.endpoint import Endpoint

MAX_WEIGHT = 128
"""The largest that Envoy takes for an endpoint."""
MEAN_WEIGHT = 64
"""Of an endpoint with average load."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadWeights:
    """Weights with what the next ones are smoothed from.

    Attributes:
        weights: address to weight, 1 to `MAX_WEIGHT`; every ready endpoint has one.
        smoothed_loads: address to load in requests, >= 0.
    """

    weights: Mapping[str, int]
    smoothed_loads: Mapping[str, float]


def load_weights(
    endpoints: Sequence[Endpoint],
    *,
    before: LoadWeights | None,
    now_s: float,
) -> LoadWeights:
    """Weights for the next EDS file; the same object's weights as before where nothing worth a write has changed.

    Args:
        endpoints: those that may get requests.
        before: what this returned last for the pool, None at first.
        now_s: the clock that `scraped_at_s` of the samples was read from.
    """
    raise NotImplementedError
