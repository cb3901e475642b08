from __future__ import annotations

from prometheus_client import generate_latest

from mixserve.controller.object_cache import PoolKey
from mixserve.controller.telemetry import PoolNumbers, Telemetry, VariantNumbers

KEY = PoolKey("ns", "p")


def shown(telemetry: Telemetry) -> list[str]:
    return [line for line in generate_latest(telemetry.registry).decode().splitlines() if not line.startswith("#")]


def variant(*, desired: int | None, usage: float | None) -> VariantNumbers:
    return VariantNumbers(name="v", desired=desired, replicas=2, ready=1, running=3, waiting=None, kv_cache_usage=usage)


def test_a_pool_shows_its_numbers() -> None:
    telemetry = Telemetry()
    numbers = PoolNumbers(variants=(variant(desired=4, usage=0.5),), demand={"running": 3.5}, missing={"Timeout": 1})
    telemetry.pools.put(KEY, numbers)
    lines = shown(telemetry)
    for line in (
        'mixserve_pool_desired_replicas{namespace="ns",pool="p",variant="v"} 4.0',
        'mixserve_pool_kv_cache_usage_ratio{namespace="ns",pool="p",variant="v"} 0.5',
        'mixserve_pool_demand_replicas{namespace="ns",pool="p",term="running"} 3.5',
        'mixserve_pool_missing_samples{namespace="ns",pool="p",reason="Timeout"} 1.0',
    ):
        assert line in lines


def test_what_is_not_known_is_not_shown() -> None:
    telemetry = Telemetry()
    telemetry.pools.put(KEY, PoolNumbers(variants=(variant(desired=None, usage=None),)))
    text = "\n".join(shown(telemetry))
    assert "mixserve_pool_desired_replicas{" not in text
    assert "mixserve_pool_waiting_requests{" not in text
    assert "mixserve_pool_ready_replicas{" in text


def test_a_pool_that_is_gone_leaves_no_series() -> None:
    telemetry = Telemetry()
    telemetry.pools.put(KEY, PoolNumbers(variants=(variant(desired=1, usage=0.1),), demand={"running": 1.0}))
    telemetry.pools.drop(KEY)
    telemetry.pools.drop(KEY)
    assert not [line for line in shown(telemetry) if 'pool="p"' in line]


def test_calls_to_the_api_server_are_counted() -> None:
    telemetry = Telemetry()
    telemetry.count_api_call("apply", "services", "200")
    assert 'mixserve_api_calls_total{code="200",resource="services",verb="apply"} 1.0' in shown(telemetry)
