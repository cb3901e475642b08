"""How the operator's process runs: environment variables that begin with MIXSERVE_, each with a default."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mixserve.observe.hub_endpoint import DEFAULT_ENDPOINT, ENDPOINT_PATTERN, ENDPOINT_VARIABLE
from mixserve.plan.gateway_options import GatewayOptions  # noqa: TC001 - pydantic reads the annotation

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


def _unique_identity() -> str:
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


class SettingsError(Exception):
    """Environment variables have values that they can't have."""


class Settings(BaseSettings):
    """The operator's settings; the environment variable of `lease_name` is MIXSERVE_LEASE_NAME."""

    model_config = SettingsConfigDict(
        env_prefix="MIXSERVE_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    namespace: Annotated[str, Field(min_length=1)] = "mixserve-system"
    """Namespace of the Lease that makes one of several operators the leader."""
    lease_name: Annotated[str, Field(min_length=1)] = "mixserve-operator"
    """Name of the Lease."""
    lease_duration_s: Annotated[int, Field(ge=3, le=3600)] = 15
    """Seconds after which a leader that does not renew the Lease is replaced; it renews several times in between."""
    identity: Annotated[str, Field(min_length=1, max_length=253)] = Field(default_factory=_unique_identity)
    """Name in the Lease. With the pod's name a restarted container need not wait for the Lease to expire; it must
    then be certain that no other process has the same name. Unset: hostname and a random suffix."""
    scrape_interval_s: Annotated[float, Field(ge=0.1, le=5)] = 5.0
    """Seconds between two looks at an engine's metrics, which is also how often each pool is decided about. At most a
    third of the time for which a sample is fresh, so that one lost scrape changes nothing."""
    resync_interval_s: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """Seconds between two full lists of everything, which find what a broken watch has missed."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Pools that are reconciled at the same time."""
    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to look after, separated by commas; empty: all."""
    catalog_status: bool = True
    """Whether to say in the status of QuantizationFormats and AcceleratorClasses who uses them, and what nodes have.
    One operator of a cluster should."""
    kubeconfig: Path | None = None
    """Kubeconfig file; unset: the ServiceAccount of the pod, else KUBECONFIG or ~/.kube/config."""
    http_host: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    """Address of /metrics, /healthz and /readyz."""
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /metrics, /healthz and /readyz; 0 takes a free one, which the log names."""
    webhook_enabled: bool = False
    """Whether to answer the API server's questions about pools that are applied; the chart tells it to ask."""
    webhook_port: Annotated[int, Field(ge=0, le=65535)] = 9443
    """Port of the webhook, at the same address; 0 takes a free one, which the log names."""
    webhook_names: Annotated[tuple[str, ...], NoDecode] = ("localhost",)
    """DNS names and IP addresses, separated by commas, by which the API server calls the webhook."""
    webhook_secret: Annotated[str, Field(min_length=1)] = "mixserve-webhook"  # noqa: S105 - its name
    """Name of the Secret, in `namespace`, with the certificate that operators make themselves."""
    webhook_configuration: Annotated[str, Field(min_length=1)] = "mixserve"
    """Name of the ValidatingWebhookConfiguration that has to know who signed that certificate."""
    webhook_certificate_directory: Path | None = None
    """Directory with tls.crt and tls.key, from cert-manager for example; unset: operators make their own."""
    webhook_certificate_interval_s: Annotated[float, Field(ge=0.1, le=3600)] = 30.0
    """Seconds between two looks at whether the certificate was renewed or has to be."""
    hub_enabled: bool = True
    """Whether to read what there is to know of models on the Hugging Face hub."""
    hub_endpoint: Annotated[str, Field(pattern=ENDPOINT_PATTERN)] = Field(
        default_factory=lambda: os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT, validate_default=True
    )
    """URL of the hub or of a mirror; unset: HF_ENDPOINT, else https://huggingface.co."""
    hub_read_tokens: bool = False
    """Whether the operator has the right to read the Secrets with tokens that pools name."""
    files_image: Annotated[str, Field(min_length=1)] | None = None
    """Image of Mixserve for the Jobs that read what there is to know of models on volumes; unset: none are made."""
    gateway: GatewayOptions | None = None
    """How gateways of namespaces with RoutingPolicies are deployed, as a JSON object with the fields of
    `plan.gateway_options`; unset: there are none."""
    cache_directory: Path | None = None
    """Directory for what was read of the hub; unset: it is kept in memory and in ConfigMaps of the pools only."""
    log_level: LogLevel = "info"
    """Lowest level that is logged."""
    log_format: LogFormat = "auto"
    """auto: for people on a terminal, else one JSON object per line."""

    @field_validator("watch_namespaces", "webhook_names", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


Read = TypeVar("Read", bound=BaseSettings)


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: names each wrong variable, and what is wrong with it.
    """
    return read_variables(Settings)


def read_variables(settings: type[Read]) -> Read:
    """Settings of some kind from their environment variables.

    Raises:
        SettingsError: names each wrong variable, and what is wrong with it.
    """
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config["env_prefix"]
        details = error.errors(include_url=False, include_input=False)
        wrong = (f"{prefix}{str(detail['loc'][0]).upper()}: {detail['msg']}" for detail in details)
        raise SettingsError("; ".join(wrong)) from error
