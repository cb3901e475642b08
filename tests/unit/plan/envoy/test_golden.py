"""Envoy's configuration for one namespace, as files; see tests/golden/README.md."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mixserve.api.engine import Task
from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import FallbackReason
from mixserve.plan.envoy.bootstrap import bootstrap
from mixserve.plan.envoy.clusters import clusters, endpoints
from mixserve.plan.envoy.listener import certificate
from mixserve.plan.envoy.routes import route_configuration
from mixserve.plan.envoy.settings import EnvoySettings
from mixserve.route.table import ShadowEntry
from support.tables import policy, pool, table

GOLDEN = Path(__file__).parents[3] / "golden" / "envoy"
UPDATE = os.environ.get("MIXSERVE_UPDATE_GOLDEN") == "1"

SETTINGS = EnvoySettings(directory="/run/mixserve", tls_directory="/etc/mixserve/tls", log_to_stdout=True)
TABLE = table(
    pool("qwen-8b", "10.0.0.1:8000", "10.0.0.2:8000"),
    pool("llama-70b", "[fd00::1]:8000", served_names=("llama-70b", "org/llama"), strategy=RoutingStrategy.PREFIX_AWARE),
    pool("idle"),
    pool("vectors", "10.0.0.3:8000", task=Task.EMBED),
    policy("auto", ("qwen-8b",), ("llama-70b", "idle"), shadow=ShadowEntry(pool="llama-70b", percent=5)),
    policy("fixed", ("idle",), fallback_when=frozenset(), shadow=ShadowEntry(pool="missing", percent=5)),
    policy("patient", ("qwen-8b",), ("llama-70b",), fallback_when=frozenset({FallbackReason.OVERLOADED})),
)

MADE = {
    "bootstrap": lambda: bootstrap(SETTINGS),
    "certificate": lambda: certificate(SETTINGS),
    "routes": lambda: route_configuration(TABLE, SETTINGS),
    "clusters": lambda: clusters(TABLE, SETTINGS),
    "endpoints": lambda: [endpoints(one, {"10.0.0.2:8000": 3}) for one in TABLE.pools],
}


@pytest.mark.parametrize("name", MADE)
def test_the_configuration_is_as_written(name):
    made = MADE[name]()
    path = GOLDEN / f"{name}.json"
    if UPDATE:
        path.write_text(json.dumps(made, indent=1) + "\n")

    assert json.loads(path.read_text()) == made


def test_without_a_certificate_there_is_no_listener_for_tls():
    names = [one["name"] for one in bootstrap(EnvoySettings(directory="/d"))["static_resources"]["listeners"]]
    assert names == ["plain", "probes"]
