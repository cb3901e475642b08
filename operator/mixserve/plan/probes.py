"""When a replica has started, takes requests, and is still alive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ENGINE_PORT_NAME
from mixserve.engines.warm_up import warm_up_command

if TYPE_CHECKING:
    from mixserve.engines.protocol import EngineAdapter, Launch

STARTUP_PERIOD_S = 10
"""Between two starts of the probe's program, which itself waits for most of this time. A run takes no longer than that,
so the whole time to start is kept even where an engine accepts requests and never answers them."""

_HUNG_GRACE_S = 30
"""A hook runs before a failed probe's restart, too, and waits for an engine that no longer answers: so cut it short."""


def probes(adapter: EngineAdapter, launch: Launch) -> dict[str, Any]:
    """The three probes of the engine's container."""
    startup_timeout_s = launch.engine.startup_timeout.total_seconds()
    return {
        "startupProbe": {
            "exec": {"command": list(warm_up_command(adapter, launch))},
            "periodSeconds": STARTUP_PERIOD_S,
            "timeoutSeconds": STARTUP_PERIOD_S,
            "failureThreshold": math.ceil(startup_timeout_s / STARTUP_PERIOD_S),
            "terminationGracePeriodSeconds": _HUNG_GRACE_S,
        },
        # Short: a replica that does not answer should get no requests. Its models it has listed before, and keeps.
        "readinessProbe": {**_health(adapter), "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        # Loose: under full load answers are slow, and a restart costs a cold start and every stream.
        "livenessProbe": {
            **_health(adapter),
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
            "terminationGracePeriodSeconds": _HUNG_GRACE_S,
        },
    }


def _health(adapter: EngineAdapter) -> dict[str, Any]:
    return {"httpGet": {"path": adapter.health_path, "port": ENGINE_PORT_NAME}}
