"""Where a gateway listens and keeps its files."""

from __future__ import annotations

from dataclasses import dataclass

from mixserve.api.gateway_names import BOOTSTRAP_FILE, HTTP_PORT, HTTPS_PORT, MODULE_FILE, READY_PORT, REQUEST_LOG_FILE

MIB = 2**20


BUFFER_BYTES = 64 * 1024
"""Per connection and direction, of clients and of engines. Bodies of requests are kept beside it; so a client that
reads slowly costs no more than twice this."""


@dataclass(frozen=True, kw_only=True)
class EnvoySettings:
    """What Envoy is started with; a change of it needs a new Envoy.

    Attributes:
        directory: shared by Envoy and the gateway's process: configuration, socket, request log.
        address: of the listeners for clients and for probes.
        port: for clients, HTTP/1.1 and HTTP/2 without TLS.
        tls_port: for clients with TLS; only with `tls_directory`.
        tls_directory: has tls.crt and tls.key, as a Secret of type kubernetes.io/tls is mounted; renewed ones are taken
            over at once. None: no TLS.
        probe_port: /ready and /stats/prometheus.
        node: Envoy's own name.
        largest_request_bytes: a longer body is answered with 413.
        heap_bytes: from 95 % of it on, no new connections are taken.
        largest_connections: of clients, at the same time.
        decision_timeout_s: how long the decision where a policy's request goes is waited for, besides what its
            classifier may take to ask a model.
        picking_timeout_s: how long the choice among a pool's replicas is waited for; the load balancer knows one too.
        log_delay_s: after this time a request is in the log.
        log_to_stdout: whether the request log is written to the standard output as well.
    """

    directory: str
    address: str = "0.0.0.0"  # noqa: S104 - it is the gateway of a cluster
    port: int = HTTP_PORT
    tls_port: int = HTTPS_PORT
    tls_directory: str | None = None
    probe_port: int = READY_PORT
    node: str = "gateway"
    largest_request_bytes: int = 10 * MIB
    heap_bytes: int = 1024 * MIB
    largest_connections: int = 20_000
    decision_timeout_s: float = 5.0
    picking_timeout_s: float = 1.0
    log_delay_s: float = 1.0
    log_to_stdout: bool = False

    @property
    def bootstrap_path(self) -> str:
        """What Envoy is started with."""
        return f"{self.directory}/{BOOTSTRAP_FILE}"

    @property
    def module_path(self) -> str:
        """What Envoy loads of Mixserve's own."""
        return f"{self.directory}/{MODULE_FILE}"

    @property
    def routes_path(self) -> str:
        """The routes; read again when renamed into place."""
        return f"{self.directory}/routes.json"

    @property
    def clusters_path(self) -> str:
        """The clusters; read again when renamed into place."""
        return f"{self.directory}/clusters.json"

    @property
    def certificate_path(self) -> str:
        """Says where the certificate is."""
        return f"{self.directory}/certificate.json"

    @property
    def socket_path(self) -> str:
        """Where the gateway's process answers Envoy."""
        return f"{self.directory}/gateway.sock"

    @property
    def admin_path(self) -> str:
        """Where Envoy's administration interface is: not at a port, since pods of some nodes share the loopback one."""
        return f"{self.directory}/admin.sock"

    @property
    def log_path(self) -> str:
        """One line of JSON per request."""
        return f"{self.directory}/{REQUEST_LOG_FILE}"
