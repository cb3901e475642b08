"""The pools as Envoy's clusters, and their replicas as endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.plan.envoy.module_filter import engine_socket, try_filter
from mixserve.plan.envoy.resources import NAMESPACE, Resource, extension, tcp, typed
from mixserve.plan.envoy.settings import BUFFER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.plan.envoy.settings import EnvoySettings
    from mixserve.route.table import PoolEntry, RoutingTable

GATEWAY = "@gateway"
"""The gateway's process. No pool can be called so."""
ADMIN = "@admin"
"""Envoy itself."""

ENDPOINTS_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

_UNLIMITED = 1_000_000
"""Envoy's own limit of 1,024 requests per cluster is far below what a pool of engines takes; they queue themselves."""

_KEEP_ALIVE_S = 4
"""vLLM's server ends connections that were idle for 5 seconds; a request must not meet that."""

_POLL_PAUSE_S = 0.2
"""Between two questions, or up to twice as long, so that pools do not ask all at once. A change that comes right after
another waits for it. While the gateway's process is gone each pool asks in vain as often, for a millisecond and a line
of log."""

_POLL_TIMEOUT_S = 60
"""Longer than the gateway's process holds a question for endpoints that have not changed."""


def clusters(table: RoutingTable, settings: EnvoySettings) -> list[Resource]:
    """A cluster for each pool, in the order of the table."""
    return [_pool_cluster(pool, settings) for pool in table.pools]


def own_clusters(settings: EnvoySettings) -> list[Resource]:
    """The clusters that are always there."""
    gateway = {"address": {"pipe": {"path": settings.socket_path}}}
    admin = {"address": {"pipe": {"path": settings.admin_path}}}
    return [_static_cluster(GATEWAY, gateway), _static_cluster(ADMIN, admin)]


def endpoints(pool: PoolEntry, weights: Mapping[str, int]) -> Resource:
    """The replicas of a pool that take requests.

    Args:
        pool: the pool.
        weights: share of the requests by ip:port, 1 to 128; 1 where there is none.
    """
    replicas = [_endpoint(endpoint, weights.get(endpoint, 1)) for endpoint in pool.endpoints]
    return {
        "@type": ENDPOINTS_TYPE,
        "cluster_name": pool.name,
        "endpoints": [{"lb_endpoints": replicas}] if replicas else [],
    }


def _endpoint(endpoint: str, weight: int) -> Resource:
    address, _, port = endpoint.rpartition(":")
    return {"endpoint": {"address": tcp(address.strip("[]"), int(port))}, "load_balancing_weight": weight}


def _pool_cluster(pool: PoolEntry, settings: EnvoySettings) -> Resource:
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": pool.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _endpoint_source()},
        "connect_timeout": "2s",
        # Kept for each client that does not read, as on its own connection.
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "load_balancing_policy": _load_balancing(),
        "circuit_breakers": _circuit_breakers(),
        "outlier_detection": _outlier_detection(),
        "transport_socket": engine_socket(settings),
        "typed_extension_protocol_options": _http1(
            idle_timeout_s=_KEEP_ALIVE_S, http_filters=[try_filter(settings), _CODEC]
        ),
    }


def _endpoint_source() -> Resource:
    """Asked for at the gateway's process, which answers when something has changed.

    Not from files: each cluster would take an inotify instance, of which a user has 128 on a node, and without one
    Envoy ends.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "15s",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [GATEWAY],
            "refresh_delay": f"{_POLL_PAUSE_S}s",
            "request_timeout": f"{_POLL_TIMEOUT_S}s",
        },
    }


def _load_balancing() -> Resource:
    """The endpoints of a decision in their order, then the one with the fewest requests, by weight."""
    least = extension(
        "envoy.load_balancing_policies.least_request",
        "extensions.load_balancing_policies.least_request.v3.LeastRequest",
    )
    override = extension(
        "envoy.load_balancing_policies.override_host",
        "extensions.load_balancing_policies.override_host.v3.OverrideHost",
        override_host_sources=[{"metadata": {"key": NAMESPACE, "path": [{"key": "endpoints"}]}}],
        fallback_policy=_policies(least),
    )
    return _policies(override)


def _policies(policy: Resource) -> Resource:
    return {"policies": [{"typed_extension_config": policy}]}


def _circuit_breakers() -> Resource:
    """Limits for requests that name the pool, and for those of chains, whose routes have the priority HIGH."""
    limits = {f"max_{what}": _UNLIMITED for what in ("connections", "pending_requests", "requests")}
    # A pool that fails as a whole must not be asked several times for everything.
    # A slot is taken for as long as the answer lasts, and a replica that dies has dozens of requests: not only a few of
    # these may find another one.
    budget = {"budget_percent": {"value": 50.0}, "min_retry_concurrency": 200}
    # In a chain the next try is another pool's, and there have to be as many as the first pool does not take.
    chains = {"priority": "HIGH", **limits, "max_retries": _UNLIMITED}
    return {"thresholds": [{**limits, "retry_budget": budget}, chains]}


def _outlier_detection() -> Resource:
    """A replica that fails three times in a row gets no requests for ten seconds, then twice as long, and so on."""
    return {
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
        # 500 is an engine's answer to some requests that it cannot take, and says nothing of others.
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "interval": "2s",
        "base_ejection_time": "10s",
        "max_ejection_percent": 50,
    }


def _static_cluster(name: str, endpoint: Resource) -> Resource:
    localities: Iterable[Resource] = [{"lb_endpoints": [{"endpoint": endpoint}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": localities},
        # Each question for endpoints keeps a connection until it is answered.
        "circuit_breakers": _circuit_breakers(),
        "typed_extension_protocol_options": _http1(idle_timeout_s=3600),
    }


_CODEC = extension("envoy.filters.http.upstream_codec", "extensions.filters.http.upstream_codec.v3.UpstreamCodec")
"""The last filter of a try."""


def _http1(*, idle_timeout_s: int, **more: Any) -> Resource:
    kind = "extensions.upstreams.http.v3.HttpProtocolOptions"
    options = typed(
        kind,
        explicit_http_config={"http_protocol_options": {}},
        common_http_protocol_options={"idle_timeout": f"{idle_timeout_s}s"},
        **more,
    )
    return {f"envoy.{kind}": options}
