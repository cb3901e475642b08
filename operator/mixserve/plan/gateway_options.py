"""What the operator is told about the gateways that it deploys: the same for all namespaces."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mixserve.api.base import StrictModel

ENVOY_IMAGE = "envoyproxy/envoy:distroless-v1.40.0"

UNPRIVILEGED = 65532
"""User and group of the images of Mixserve and of Envoy without a distribution."""


class GatewayOptions(StrictModel):
    """How gateways are deployed."""

    image: Annotated[str, Field(min_length=1)]
    """Image of Mixserve."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """Of that image, and of Envoy's."""
    envoy_image: Annotated[str, Field(min_length=1)] = ENVOY_IMAGE
    """Image whose entry point is Envoy."""
    replicas: Annotated[int, Field(ge=1, le=64)] = 2
    """Pods of each gateway."""
    service_type: Literal["ClusterIP", "LoadBalancer", "NodePort"] = "ClusterIP"
    """How it is reached."""
    tls_secret_name: str | None = None
    """Secret with tls.crt and tls.key, in each namespace that has a gateway; unset: no TLS."""
    run_as_user: int | None = UNPRIVILEGED
    """User and group of both processes; unset: left to the images or to the namespace."""
    envoy_resources: dict[str, Any] = Field(default_factory=dict)
    """`resources` of the container with Envoy."""
    gateway_resources: dict[str, Any] = Field(default_factory=dict)
    """`resources` of the container with Python."""
