"""The pods behind a Service of an embedded cluster, which has neither EndpointSlices nor a way to a cluster IP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mixserve_devcluster.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve_devcluster.api_connection import ApiConnection

Address = tuple[str, int]
"""Of a pod and its port."""


def read(api: ApiConnection, *, namespace: str, service: str, port: str = "") -> list[Address]:
    """Where a Service's connections would go, from the cluster as it is now; empty if none of its pods is ready.

    Args:
        api: of a user who may read Services and pods there.
        namespace: of the Service.
        service: its name.
        port: number or name of the Service's port; empty for its first.

    Raises:
        ApiError: the API server refuses or does not answer; status 404: there is no such Service.
        ServiceError: the Service has no such port, or selects nothing.
    """
    found = api.get(f"/api/v1/namespaces/{namespace}/services/{service}")
    selector = ",".join(f"{name}={value}" for name, value in (found["spec"].get("selector") or {}).items())
    if not selector:
        raise ServiceError(f"Service {service!r} selects no pods")
    pods = api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}")["items"]
    return addresses(found, pods, port)


def addresses(service: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], port: str = "") -> list[Address]:
    """The addresses that an EndpointSlice would have, by name of the pod: of pods that are ready and not leaving.

    Raises:
        ServiceError: the Service has no such port.
    """
    target = _target_port(service, port)
    ready = sorted((pod for pod in pods if _takes_connections(pod)), key=lambda pod: str(pod["metadata"]["name"]))
    numbers = [(pod["status"]["podIP"], _number(pod, target)) for pod in ready]
    # A pod without a port of that name gets no connections, as in any cluster.
    return [(address, number) for address, number in numbers if number is not None]


def _target_port(service: Mapping[str, Any], wanted: str) -> int | str:
    ports = service["spec"].get("ports") or []
    for each in ports:
        if wanted in ("", str(each["port"]), each.get("name")):
            target: int | str = each.get("targetPort") or each["port"]
            return target
    known = ", ".join(f"{each['port']} ({each['name']})" if each.get("name") else str(each["port"]) for each in ports)
    raise ServiceError(f"Service {service['metadata']['name']!r} has no port {wanted!r}; it has: {known or 'none'}")


def _takes_connections(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _number(pod: Mapping[str, Any], target: int | str) -> int | None:
    if isinstance(target, int):
        return target
    # Of sidecars, too.
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
    ports = [port for container in containers for port in container.get("ports") or [] if port.get("name") == target]
    return int(ports[0]["containerPort"]) if ports else None
