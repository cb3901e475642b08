"""How long a decision is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.routing_policy import ClassifierType
from mixserve.plan.envoy.module_filter import NAME, asks_for_replica, asks_for_target
from mixserve.plan.envoy.settings import EnvoySettings
from support.tables import policy, pool

SETTINGS = EnvoySettings(directory="/shared", decision_timeout_s=5.0, picking_timeout_s=1.0)


def asked(made: dict[str, Any]) -> str:
    return str(made[NAME]["filter_config"]["value"])


def test_a_replica_is_not_waited_for_as_long_as_a_target() -> None:
    assert asked(asks_for_replica(pool("small"), SETTINGS)) == "1000\n/decide/pool/small"
    assert asked(asks_for_target(policy("auto", ("small",)), SETTINGS)) == "5000\n/decide/policy/auto"


@pytest.mark.parametrize(("classifier", "asks", "limit"), [("LLM", "judge", 12500), ("Heuristic", None, 5000)])
def test_a_classifier_that_asks_a_model_has_its_own_time(classifier: str, asks: str | None, limit: int) -> None:
    auto = policy(
        "auto", ("small",), classifier=ClassifierType(classifier), classifier_pool=asks, classifier_timeout_s=7.5
    )
    assert asked(asks_for_target(auto, SETTINGS)) == f"{limit}\n/decide/policy/auto"
