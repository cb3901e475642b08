"""What Envoy is started with; the rest it reads from the files that this names, and asks the gateway's process for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.gateway_names import READY_PATH
from mixserve.plan.envoy.clusters import ADMIN, own_clusters
from mixserve.plan.envoy.listener import file_source, listeners, router
from mixserve.plan.envoy.resources import Resource, extension, tcp

if TYPE_CHECKING:
    from mixserve.plan.envoy.settings import EnvoySettings

METRICS_PATH = "/stats/prometheus"


def arguments(settings: EnvoySettings) -> tuple[str, ...]:
    """Envoy's command line, as far as the configuration depends on it: in pods, tests and benchmarks alike."""
    return (
        *("--config-path", settings.bootstrap_path),
        # Its shared memory would be of no use: a pod's Envoy is replaced with the pod.
        "--disable-hot-restart",
        # A field that Envoy does not know would otherwise be left out in silence, and with it all routes.
        "--reject-unknown-dynamic-fields",
        # What the request log tells comes to the accounting within this time.
        *("--file-flush-interval-msec", str(round(settings.log_delay_s * 1000))),
    )


def bootstrap(settings: EnvoySettings) -> Resource:
    """The configuration that `--config-path` names."""
    return {
        "node": {"id": settings.node, "cluster": "mixserve"},
        "admin": {"address": {"pipe": {"path": settings.admin_path}}},
        "static_resources": {
            "listeners": [*listeners(settings), _probe_listener(settings)],
            "clusters": own_clusters(settings),
        },
        "dynamic_resources": {"cds_config": file_source(settings.clusters_path)},
        "overload_manager": _overload(settings),
    }


def _probe_listener(settings: EnvoySettings) -> Resource:
    """Two pages of the admin interface, which itself nobody outside the pod may reach."""
    paths = (READY_PATH, METRICS_PATH)
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="probes",
        route_config={
            "virtual_hosts": [
                {
                    "name": "probes",
                    "domains": ["*"],
                    "routes": [{"match": {"path": path}, "route": {"cluster": ADMIN}} for path in paths],
                }
            ]
        },
        http_filters=[router()],
    )
    return {
        "name": "probes",
        "address": tcp(settings.address, settings.probe_port),
        "filter_chains": [{"filters": [manager]}],
        # Probes have to get through when everything else is refused.
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
    }


def _overload(settings: EnvoySettings) -> Resource:
    """Before memory ends, connections are closed after their request, then no new ones taken."""
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            extension(
                heap,
                "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                max_heap_size_bytes=settings.heap_bytes,
            ),
            extension(
                connections,
                "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=settings.largest_connections,
            ),
        ],
        "actions": [
            _action("disable_http_keepalive", heap, 0.90),
            _action("stop_accepting_requests", heap, 0.95),
        ],
    }


def _action(name: str, monitor: str, share: float) -> Resource:
    trigger = {"name": monitor, "threshold": {"value": share}}
    return {"name": f"envoy.overload_actions.{name}", "triggers": [trigger]}
