"""The live numbers of speculative decoding on the operator's /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

    from mixserve.controller.object_cache import PoolKey
    from mixserve.status.pair_status import PairUse

_LABELS = ("namespace", "pool", "variant")


class SpeculationGauges(Collector):
    """Shows what was seen of each pool that names a SpeculativePair; no series where nothing is known."""

    def __init__(self) -> None:
        self._uses: dict[PoolKey, PairUse] = {}

    def show(self, uses: Mapping[PoolKey, PairUse]) -> None:
        """Take what there is now; what was there before is gone."""
        self._uses = dict(uses)

    def collect(self) -> Iterable[Metric]:
        """All series."""
        rate = GaugeMetricFamily(
            "mixserve_speculation_acceptance_ratio",
            "Share of the proposed tokens that the model kept in the last five minutes.",
            labels=_LABELS,
        )
        length = GaugeMetricFamily(
            "mixserve_speculation_accepted_length",
            "Tokens that a step with proposals gave per request in the last five minutes.",
            labels=_LABELS,
        )
        speed_up = GaugeMetricFamily(
            "mixserve_speculation_expected_speed_up",
            "How many times as fast tokens should come as without speculation, at the batch of the last five minutes.",
            labels=_LABELS,
        )
        for key, use in self._uses.items():
            labels = (*key, use.variant or "")
            values = (
                (rate, None if use.acceptance is None else use.acceptance.rate),
                (length, None if use.acceptance is None else use.acceptance.length),
                (speed_up, use.speed_up),
            )
            for family, value in values:
                if value is not None:
                    family.add_metric(labels, value)
        yield from (rate, length, speed_up)
