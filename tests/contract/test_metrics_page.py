"""The operator's metrics and the page that documents them name the same things."""

import re
from pathlib import Path

from mixserve.controller.telemetry import PoolNumbers, Telemetry, VariantNumbers

PAGE = Path(__file__).parents[2] / "docs/metrics.md"


def exposed() -> dict[str, str]:
    telemetry = Telemetry()
    variant = VariantNumbers(name="v", desired=1, replicas=1, ready=1, running=1, waiting=1, kv_cache_usage=0.5)
    numbers = PoolNumbers(variants=(variant,), demand={"running": 1.0}, missing={"Timeout": 1})
    telemetry.pools.put(("default", "pool"), numbers)
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation
        for family in telemetry.registry.collect()
    }


def test_every_metric_is_documented_and_every_documented_metric_exists():
    documented = set(re.findall(r"^\| `(mixserve_[a-z_]+)`", PAGE.read_text(), re.MULTILINE))
    assert documented == set(exposed())
