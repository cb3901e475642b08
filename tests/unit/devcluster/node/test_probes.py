from __future__ import annotations

from typing import Any

import pytest

from mixserve_devcluster.node.probes import Probe, ProbeCounter


def verdicts(results: str, **thresholds: Any) -> list[bool | None]:
    """What the probe says after each result of `results`, which are "+" and "-"."""
    counter = ProbeCounter(Probe.parse({"tcpSocket": {"port": 1}, **thresholds}))
    return [counter.verdict(success=result == "+") for result in results]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ("---", [None, None, False]),
        ("--+--", [None, None, True, None, None]),
        ("---+", [None, None, False, True]),
        ("----", [None, None, False, False]),
        ("++", [True, True]),
    ],
)
def test_three_failures_in_a_row_or_one_success(results: str, expected: list[bool | None]) -> None:
    assert verdicts(results) == expected


def test_other_thresholds() -> None:
    assert verdicts("-++-+", failureThreshold=1, successThreshold=2) == [False, None, True, False, None]


def test_defaults_and_all_fields() -> None:
    probe = Probe.parse({"httpGet": {"port": 1}})
    assert (probe.initial_delay_s, probe.period_s, probe.timeout_s, probe.grace_s) == (0, 10, 1, None)
    fields = {
        "initialDelaySeconds": 5,
        "periodSeconds": 2,
        "timeoutSeconds": 3,
        "terminationGracePeriodSeconds": 0,
    }
    probe = Probe.parse({"exec": {"command": ["x"]}, **fields})
    assert (probe.initial_delay_s, probe.period_s, probe.timeout_s, probe.grace_s) == (5, 2, 3, 0)
    assert probe.action == {"exec": {"command": ["x"]}}
