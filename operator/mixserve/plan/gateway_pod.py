"""The pod of a gateway: Envoy, and beside it the process that configures it and decides for it.

Envoy is a sidecar in Kubernetes' own sense: it starts before the other container and ends after it. So whoever knows
how many requests are under way, the process in Python, says when both have drained, and no fixed time is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.gateway_names import (
    DRAIN_S,
    ENVOY_CONTAINER,
    GATEWAY,
    GATEWAY_CONTAINER,
    HTTP_PORT,
    HTTPS_PORT,
    READY_PATH,
    READY_PORT,
    SHARED_DIRECTORY,
    TLS_DIRECTORY,
    WEB_PORT,
)
from mixserve.plan.envoy.bootstrap import arguments
from mixserve.plan.envoy.settings import EnvoySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.plan.gateway_options import GatewayOptions

SERVICE_PORTS = {"http": 80, "https": 443}
"""Ports of the Service, by the name of the container's port."""

# After the drain: both processes end, and the kubelet notices.
_GRACE_MARGIN_S = 30
# A process that hangs is not to drain: Envoy carries the requests on, and the sooner somebody decides again the better.
_HUNG_GRACE_S = 10
# Envoy's configuration, its sockets, and an access log that the process beside it reads and cuts.
_SHARED_BYTES = "512Mi"
_TOKEN_S = 3607  # what Kubernetes itself asks for where it mounts a token
_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"

_SHARED = {"name": "shared", "mountPath": SHARED_DIRECTORY}
_TLS = {"name": "tls", "mountPath": TLS_DIRECTORY, "readOnly": True}
_ACCOUNT = {"name": "account", "mountPath": _ACCOUNT_DIRECTORY, "readOnly": True}


def gateway_pod(options: GatewayOptions, *, selector: Mapping[str, str]) -> dict[str, Any]:
    """The spec of the pod.

    Args:
        options: how gateways are deployed.
        selector: labels of the namespace's gateway pods.
    """
    return {
        "serviceAccountName": GATEWAY,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": DRAIN_S + _GRACE_MARGIN_S,
        "securityContext": _pod_security(options),
        "affinity": _apart(selector),
        "topologySpreadConstraints": [_over_zones(selector)],
        "initContainers": [_bootstrap(options), _envoy(options)],
        "containers": [_gateway(options)],
        "volumes": _volumes(options),
    }


def _bootstrap(options: GatewayOptions) -> dict[str, Any]:
    """Writes what Envoy starts with, which has no shell to wait for it."""
    return {
        "name": "bootstrap",
        "image": options.image,
        "imagePullPolicy": options.image_pull_policy,
        "command": ["mixserve", "gateway", "--write-bootstrap"],
        "workingDir": SHARED_DIRECTORY,
        "env": _environment(options),
        "securityContext": _SECURITY,
        "resources": options.gateway_resources,
        "volumeMounts": [_SHARED],
    }


def _envoy(options: GatewayOptions) -> dict[str, Any]:
    ports = {"http": HTTP_PORT, "https": HTTPS_PORT, "ready": READY_PORT}
    has_tls = options.tls_secret_name is not None
    return {
        "name": ENVOY_CONTAINER,
        "image": options.envoy_image,
        "imagePullPolicy": options.image_pull_policy,
        # What makes an init container a sidecar.
        "restartPolicy": "Always",
        "args": [
            *arguments(EnvoySettings(directory=".")),
            *("--drain-time-s", str(DRAIN_S)),
            *("--log-level", "warning"),
        ],
        "workingDir": SHARED_DIRECTORY,
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"}
            for name, port in ports.items()
            if name != "https" or has_tls
        ],
        # The other container starts only after a startup probe here, and it is that one which lets Envoy listen. So
        # there is none, and the liveness probe is late and patient instead.
        "readinessProbe": {
            "httpGet": {"path": READY_PATH, "port": "ready"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            "tcpSocket": {"port": "ready"},
            "initialDelaySeconds": 60,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "securityContext": _SECURITY,
        "resources": options.envoy_resources,
        "volumeMounts": [_SHARED, *([_TLS] if has_tls else [])],
    }


def _gateway(options: GatewayOptions) -> dict[str, Any]:
    """Without a readiness probe: what needs no decision flows without it, and Envoy answers for the rest."""
    health = {"httpGet": {"path": "/healthz", "port": "web"}}
    return {
        "name": GATEWAY_CONTAINER,
        "image": options.image,
        "imagePullPolicy": options.image_pull_policy,
        "command": ["mixserve", "gateway"],
        "workingDir": SHARED_DIRECTORY,
        "env": _environment(options),
        "ports": [{"name": "web", "containerPort": WEB_PORT, "protocol": "TCP"}],
        "startupProbe": {**health, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {
            **health,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
            "terminationGracePeriodSeconds": _HUNG_GRACE_S,
        },
        "securityContext": _SECURITY,
        "resources": options.gateway_resources,
        "volumeMounts": [_SHARED, _ACCOUNT],
    }


def _environment(options: GatewayOptions) -> list[dict[str, Any]]:
    values = {
        "HTTP_PORT": str(HTTP_PORT),
        "READY_PORT": str(READY_PORT),
        "WEB_PORT": str(WEB_PORT),
        "DRAIN_S": str(DRAIN_S),
    }
    if options.tls_secret_name is not None:
        values |= {"HTTPS_PORT": str(HTTPS_PORT), "TLS_DIRECTORY": TLS_DIRECTORY}
    # The pod's own address: on a node whose pods share its network, another one would be taken from all of them.
    fields = {"NAMESPACE": "metadata.namespace", "POD_NAME": "metadata.name", "HOST": "status.podIP"}
    return [
        *({"name": f"MIXSERVE_GATEWAY_{name}", "value": value} for name, value in values.items()),
        *(
            {"name": f"MIXSERVE_GATEWAY_{name}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in fields.items()
        ),
    ]


def _volumes(options: GatewayOptions) -> list[dict[str, Any]]:
    account = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_S}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    found: list[dict[str, Any]] = [
        {"name": "shared", "emptyDir": {"sizeLimit": _SHARED_BYTES}},
        {"name": "account", "projected": {"sources": account}},
    ]
    if options.tls_secret_name is not None:
        found.append({"name": "tls", "secret": {"secretName": options.tls_secret_name}})
    return found


_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def _pod_security(options: GatewayOptions) -> dict[str, Any]:
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if options.run_as_user is None:
        return context
    # One user for both: each reads what the other has written.
    return {**context, "runAsUser": options.run_as_user, "fsGroup": options.run_as_user}


def _apart(selector: Mapping[str, str]) -> dict[str, Any]:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector}}
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }


def _over_zones(selector: Mapping[str, str]) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector},
    }
