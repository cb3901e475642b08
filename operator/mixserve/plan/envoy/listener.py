"""What clients connect to: limits, filters, errors, and the log of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.envoy.module_filter import module_filter
from mixserve.plan.envoy.openai_errors import local_replies
from mixserve.plan.envoy.request_log import request_log
from mixserve.plan.envoy.resources import Resource, extension, tcp, typed
from mixserve.plan.envoy.routes import NAME as ROUTES
from mixserve.plan.envoy.settings import BUFFER_BYTES

if TYPE_CHECKING:
    from mixserve.plan.envoy.settings import EnvoySettings

STAT_PREFIX = "clients"
"""Of the metrics of clients' requests."""

_HEADERS_TIMEOUT = "10s"
_REQUEST_TIMEOUT = "300s"
"""10 MB over a slow line; who sends more slowly is cut off."""

_IDLE_TIMEOUT = "900s"
"""Without a byte in either direction: the longest answer that is not streamed."""

_WINDOW_BYTES = 2**20
"""Of HTTP/2: a long prompt over a long line should not wait for each 64 KiB."""


def listeners(settings: EnvoySettings) -> list[Resource]:
    """The listener for clients, and with a certificate a second one with TLS."""
    plain = _listener("plain", settings, port=settings.port, chain={})
    if settings.tls_directory is None:
        return [plain]
    return [plain, _listener("tls", settings, port=settings.tls_port, chain={"transport_socket": _tls(settings)})]


def certificate(settings: EnvoySettings) -> Resource:
    """Where the certificate lies; read again when the mounted Secret changes."""
    paths = {"certificate_chain": "tls.crt", "private_key": "tls.key"}
    files = {key: {"filename": f"{settings.tls_directory}/{name}"} for key, name in paths.items()}
    watched = {"watched_directory": {"path": settings.tls_directory}}
    secret = typed("extensions.transport_sockets.tls.v3.Secret", name="tls", tls_certificate={**files, **watched})
    return {"resources": [secret]}


def _listener(name: str, settings: EnvoySettings, *, port: int, chain: Resource) -> Resource:
    return {
        "name": name,
        "address": tcp(settings.address, port),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [{"filters": [_connection_manager(settings)], **chain}],
    }


def _connection_manager(settings: EnvoySettings) -> Resource:
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=STAT_PREFIX,
        rds={"route_config_name": ROUTES, "config_source": file_source(settings.routes_path)},
        http_filters=_filters(settings),
        local_reply_config=local_replies(),
        access_log=request_log(settings),
        **_limits(),
    )


def _filters(settings: EnvoySettings) -> list[Resource]:
    return [
        extension(
            "envoy.filters.http.buffer",
            "extensions.filters.http.buffer.v3.Buffer",
            max_request_bytes=settings.largest_request_bytes,
        ),
        module_filter(settings),
        router(),
    ]


def router() -> Resource:
    """The last filter."""
    return extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")


def _limits() -> Resource:
    """Against slow clients, header floods, and requests that others read differently."""
    return {
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        "max_request_headers_kb": 32,
        "request_headers_timeout": _HEADERS_TIMEOUT,
        "request_timeout": _REQUEST_TIMEOUT,
        "stream_idle_timeout": _IDLE_TIMEOUT,
        "common_http_protocol_options": {
            "idle_timeout": _IDLE_TIMEOUT,
            "max_headers_count": 100,
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 256,
            "initial_stream_window_size": _WINDOW_BYTES,
            "initial_connection_window_size": _WINDOW_BYTES,
        },
    }


def _tls(settings: EnvoySettings) -> Resource:
    secret = {"name": "tls", "sds_config": file_source(settings.certificate_path)}
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [secret],
        },
    )


def file_source(path: str) -> Resource:
    """Configuration from a file."""
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}
