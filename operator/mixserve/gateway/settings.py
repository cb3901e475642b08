"""How the gateway's process runs: environment variables that begin with MIXSERVE_GATEWAY_, each with a default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from mixserve.api.gateway_names import DRAIN_S, HTTP_PORT, HTTPS_PORT, READY_PORT, WEB_PORT
from mixserve.controller.settings import LogFormat, LogLevel, read_variables
from mixserve.plan.envoy.settings import EnvoySettings


class GatewaySettings(BaseSettings):
    """The gateway's settings; the environment variable of `web_port` is MIXSERVE_GATEWAY_WEB_PORT."""

    model_config = SettingsConfigDict(
        env_prefix="MIXSERVE_GATEWAY_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    namespace: Annotated[str, Field(min_length=1)]
    """Namespace whose pools and policies it serves."""
    directory: Path = Path()
    """Directory that it shares with Envoy: configuration, sockets and the log of requests. Unset: where it runs."""
    host: str = "0.0.0.0"  # noqa: S104 - clients, probes and Prometheus come from outside the pod
    """Address at which Envoy takes requests, and this process its own: the pod's."""
    pod_name: Annotated[str, Field(min_length=1)] = "gateway"
    """Name of the pod, for Envoy's own."""
    http_port: Annotated[int, Field(ge=1, le=65535)] = HTTP_PORT
    """Port at which Envoy takes requests by HTTP/1.1 and HTTP/2."""
    https_port: Annotated[int, Field(ge=1, le=65535)] = HTTPS_PORT
    """Port at which Envoy takes them by TLS, where `tls_directory` is set."""
    tls_directory: Path | None = None
    """Directory with tls.crt and tls.key, as a Secret of type kubernetes.io/tls is mounted; unset: no TLS."""
    ready_port: Annotated[int, Field(ge=1, le=65535)] = READY_PORT
    """Port at which Envoy says whether it takes requests, and has its own metrics."""
    drain_s: Annotated[float, Field(ge=0, le=86400)] = DRAIN_S
    """How long a gateway that is to end waits for the requests that it carries."""
    web_port: Annotated[int, Field(ge=0, le=65535)] = WEB_PORT
    """Port of /metrics and /healthz of this process; 0 takes a free one, which the log names."""
    scrape_interval_s: Annotated[float, Field(ge=0.1, le=5)] = 1.0
    """Seconds between two looks at an engine's metrics."""
    kubeconfig: Path | None = None
    """Kubeconfig file; unset: the ServiceAccount of the pod, else KUBECONFIG or ~/.kube/config."""
    access_log: bool = True
    """Whether Envoy also writes a line for each request to its standard output."""
    log_level: LogLevel = "info"
    """Lowest level that is logged."""
    log_format: LogFormat = "auto"
    """auto: for people on a terminal, else one JSON object per line."""

    @property
    def envoy_url(self) -> str:
        """Where this process asks Envoy as clients do, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.http_port}"

    def envoy(self) -> EnvoySettings:
        """How the pod's Envoy is configured."""
        return EnvoySettings(
            directory=str(self.directory),
            node=self.pod_name,
            address=self.host,
            port=self.http_port,
            tls_port=self.https_port,
            tls_directory=None if self.tls_directory is None else str(self.tls_directory),
            probe_port=self.ready_port,
            log_to_stdout=self.access_log,
        )


def read_gateway_settings() -> GatewaySettings:
    """The settings of this process.

    Raises:
        SettingsError: names each wrong variable, and what is wrong with it.
    """
    return read_variables(GatewaySettings)
