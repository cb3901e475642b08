import json
from dataclasses import replace
from decimal import Decimal

import pytest

from mixserve_devcluster.demo.recording import Recording, percentile
from mixserve_devcluster.demo.spending import Spending
from support.demo_samples import QUIET_POOL, sample_of


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.95, 10), (0.1, 1), (1.0, 10)])
def test_percentiles_are_the_nearest_rank(share, value):
    assert percentile(list(range(10, 0, -1)), share) == value


def test_nothing_has_no_percentile():
    assert percentile([], 0.95) is None


def test_a_pools_share_is_of_all_answers_and_unknown_before_the_first():
    sample = sample_of(1.0, small=replace(QUIET_POOL, answered=3), large=replace(QUIET_POOL, answered=1))
    assert (sample.share("small"), sample.share("large")) == (0.75, 0.25)
    assert sample_of(0.0, small=QUIET_POOL).share("small") is None


def test_a_decision_is_kept_once_per_pool_at_the_time_when_it_appeared():
    record = Recording(engine="simulated", workload="test")
    for at_s, decision in enumerate(["", "up", "up", "down"]):
        record.add(
            sample_of(
                float(at_s), small=replace(QUIET_POOL, decision=decision), large=replace(QUIET_POOL, decision="hold")
            )
        )
    assert [(item.at_s, item.pool, item.message) for item in record.decisions] == [
        (0.0, "large", "hold"),
        (1.0, "small", "up"),
        (3.0, "small", "down"),
    ]


def test_a_field_over_time_is_by_pool():
    record = Recording(engine="simulated", workload="test")
    assert record.of_pools("replicas") == {}
    for replicas in (1, 2):
        record.add(sample_of(0.0, small=replace(QUIET_POOL, replicas=replicas), large=QUIET_POOL))
    assert record.of_pools("replicas") == {"small": [1, 2], "large": [1, 1]}


def test_money_is_exact_in_the_file():
    record = Recording(engine="simulated", workload="test", spending={"small": Spending(cost_usd=Decimal("0.1000001"))})
    assert json.loads(record.to_json())["spending"]["small"]["cost_usd"] == "0.1000001"
