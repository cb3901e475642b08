"""A namespace's gateway as its clients reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openai import OpenAI

from mixserve.api.gateway_names import GATEWAY
from mixserve_devcluster import service_endpoints
from support.pool_questions import get
from support.waiting import eventually

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox


def gateway_urls(sandbox: PoolSandbox) -> list[str]:
    """Base URLs of the gateway's ready pods, without a path."""
    found = service_endpoints.read(sandbox.cluster.plane.api, namespace=sandbox.namespace, service=GATEWAY, port="http")
    return [f"http://{address}:{port}" for address, port in found]


def wait_for_policy(sandbox: PoolSandbox, name: str, timeout_s: float = 180.0) -> None:
    """Wait until a policy is Ready and its gateway has all its pods."""

    def ready() -> bool:
        conditions = get(sandbox, "rp", name).get("status", {}).get("conditions", ())
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    eventually(ready, f"Ready condition of {name}", timeout_s)
    eventually(lambda: len(gateway_urls(sandbox)) == 2, "both pods of the gateway", timeout_s)


def client_of(url: str) -> OpenAI:
    """The official client, which does not try again by itself."""
    return OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0, timeout=60.0)
