from __future__ import annotations

from typing import Any

import pytest

from mixserve_devcluster import service_endpoints
from mixserve_devcluster.errors import ServiceError

PORTS = [{"name": "http", "port": 80, "targetPort": "web"}, {"port": 9000}]


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "front"}, "spec": {"selector": {"app": "a"}, "ports": PORTS, **spec}}


def pod(name: str, *, ready: str = "True", port: str = "web", **metadata: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"ports": [{"name": port, "containerPort": 8080}]}, {}]},
        "status": {"podIP": f"127.64.0.{name}", "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_each_ready_pod_is_an_address_in_the_order_of_names() -> None:
    assert service_endpoints.addresses(service(), [pod("2"), pod("1")]) == [("127.64.0.1", 8080), ("127.64.0.2", 8080)]


def test_a_pod_that_is_not_ready_or_leaving_or_just_made_is_none() -> None:
    fresh = {**pod("3"), "status": {}}

    assert (
        service_endpoints.addresses(service(), [pod("1", ready="False"), pod("2", deletionTimestamp="x"), fresh]) == []
    )


def test_a_pod_without_the_named_port_is_left_out() -> None:
    assert service_endpoints.addresses(service(), [pod("1", port="other"), pod("2")]) == [("127.64.0.2", 8080)]


@pytest.mark.parametrize(("wanted", "number"), [("", 8080), ("80", 8080), ("http", 8080), ("9000", 9000)])
def test_a_port_is_chosen_by_number_or_name(wanted: str, number: int) -> None:
    assert service_endpoints.addresses(service(), [pod("1")], wanted) == [("127.64.0.1", number)]


def test_an_unknown_port_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ServiceError, match=r"'front' has no port '81'; it has: 80 \(http\), 9000"):
        service_endpoints.addresses(service(), [], "81")
    with pytest.raises(ServiceError, match="it has: none"):
        service_endpoints.addresses(service(ports=None), [])


class Api:
    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.asked: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        return self.found if "/services/" in path else {"items": [pod("1")]}


def test_the_pods_are_those_that_the_service_selects() -> None:
    api = Api(service(selector={"app": "a", "b/c": "d"}))

    assert service_endpoints.read(api, namespace="n", service="front") == [("127.64.0.1", 8080)]  # type: ignore[arg-type]
    assert api.asked == [
        "/api/v1/namespaces/n/services/front",
        "/api/v1/namespaces/n/pods?labelSelector=app%3Da%2Cb/c%3Dd",
    ]


def test_a_service_without_a_selector_leads_nowhere() -> None:
    with pytest.raises(ServiceError, match="selects no pods"):
        service_endpoints.read(Api(service(selector=None)), namespace="n", service="front")  # type: ignore[arg-type]
