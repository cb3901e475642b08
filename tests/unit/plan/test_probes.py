from __future__ import annotations

from datetime import timedelta

import pytest

from mixserve.api.engine import Engine
from mixserve.engines.vllm import VLLMAdapter
from mixserve.engines.warm_up import WAIT_S, warm_up_command
from mixserve.plan.probes import probes
from support.launches import launch


def found(**engine):
    return probes(VLLMAdapter(), launch(engine=Engine(**engine)))


def test_a_replica_starts_with_its_first_token():
    assert found()["startupProbe"]["exec"]["command"] == list(warm_up_command(VLLMAdapter(), launch()))


@pytest.mark.parametrize(("seconds", "failures"), [(1800, 180), (1, 1), (61, 7)])
def test_the_startup_probe_waits_at_least_as_long_as_the_pool_says(seconds, failures):
    probe = found(startup_timeout=timedelta(seconds=seconds))["startupProbe"]

    assert (probe["periodSeconds"], probe["failureThreshold"]) == (10, failures)


def test_a_run_of_the_startup_probe_ends_by_itself_and_before_the_next():
    probe = found()["startupProbe"]

    # Otherwise what it has to say would be lost, and the time to start would be longer than the pool says.
    assert WAIT_S + 1 < probe["timeoutSeconds"] <= probe["periodSeconds"]


def test_the_others_ask_for_health_at_the_named_port():
    for probe in ("readinessProbe", "livenessProbe"):
        assert found()[probe]["httpGet"] == {"path": "/health", "port": "http"}


def test_liveness_is_more_patient_than_readiness():
    def patience_s(probe):
        return found()[probe]["periodSeconds"] * found()[probe]["failureThreshold"]

    assert patience_s("livenessProbe") >= 6 * patience_s("readinessProbe")


def test_an_engine_that_hangs_is_not_drained():
    for probe in ("startupProbe", "livenessProbe"):
        assert found()[probe]["terminationGracePeriodSeconds"] < 60
