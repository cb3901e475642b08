from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve.api.observation import Missing, MissingReason
from mixserve.autoscale.decision import Decision, decide
from mixserve.autoscale.memory import ScaleMemory
from mixserve.controller.numbers import outcome_of, pool_numbers
from support.pools import SILENT, pod, pool, sample, seen, variant

if TYPE_CHECKING:
    from mixserve.api.observation import PoolObservation


def decided(observation: PoolObservation) -> Decision:
    return decide(pool(), observation, ScaleMemory(), {"main": 10.0})[0]


def test_signals_are_added_up_and_the_cache_is_a_mean() -> None:
    observation = seen(variant(pod("a", sample(3, 1, 0.2)), pod("b", sample(5, 0, 0.4)), pod("c", SILENT)))
    numbers = pool_numbers(observation, decided(observation))
    [main] = numbers.variants
    assert (main.running, main.waiting, main.ready, main.replicas) == (8, 1, 3, 3)
    assert main.kv_cache_usage == pytest.approx(0.3)
    assert numbers.missing == {MissingReason.TIMEOUT: 1}
    assert numbers.demand["running"] == pytest.approx(0.8)


def test_without_data_there_is_no_number_and_no_wish() -> None:
    observation = seen(variant(pod("a", SILENT), pod("b", SILENT)))
    numbers = pool_numbers(observation, decided(observation))
    [main] = numbers.variants
    assert (main.desired, main.running, main.waiting, main.kv_cache_usage) == (None, None, None, None)
    assert "running" not in numbers.demand


def test_a_pod_that_is_not_ready_is_not_missed() -> None:
    observation = seen(variant(pod("a", sample()), pod("b", Missing(MissingReason.NOT_SCRAPED), ready=False)))
    assert pool_numbers(observation, decided(observation)).missing == {}


@pytest.mark.parametrize(
    ("observation", "outcome"),
    [
        (seen(variant(pod("a", sample(10, 30)))), "up"),
        (seen(variant(pod("a", sample()))), "steady"),
        (seen(variant(pod("a", sample()), pod("b", sample()))), "Stabilizing"),
    ],
    ids=["up", "steady", "stabilizing"],
)
def test_a_decision_has_one_word(observation: PoolObservation, outcome: str) -> None:
    assert outcome_of(decided(observation)) == outcome
