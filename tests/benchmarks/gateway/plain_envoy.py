"""Envoy alone: the least that it needs to pass requests on to the same engines."""

from __future__ import annotations

from mixserve.plan.envoy.resources import Resource, extension, tcp


def configuration(*, port: int, engines: list[int]) -> Resource:
    """Its bootstrap configuration; `engines` are ports of the loopback interface."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="all",
        route_config={
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "engines", "timeout": "0s"}}],
                }
            ]
        },
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    listener = {"name": "all", "address": tcp("127.0.0.1", port), "filter_chains": [{"filters": [manager]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(engines)]}}


def _cluster(engines: list[int]) -> Resource:
    replicas = [{"endpoint": {"address": tcp("127.0.0.1", engine)}} for engine in engines]
    return {
        "name": "engines",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "engines", "endpoints": [{"lb_endpoints": replicas}]},
    }
