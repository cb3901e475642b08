"""What an engine, or a gateway, has counted, read from its metrics page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from mixserve.api.names import ENGINE_PORT_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping


def engine_url(pod: Mapping[str, Any]) -> str:
    """Where the engine of a pod is, without a path."""
    [engine] = pod["spec"]["containers"]
    port = next(each["containerPort"] for each in engine["ports"] if each["name"] == ENGINE_PORT_NAME)
    return f"http://{pod['status']['podIP']}:{port}"


def total(url: str, name: str, **labels: str) -> float:
    """The sum of the samples called so on a server's page /metrics, of those with the labels; 0 where there is none."""
    text = httpx2.get(f"{url}/metrics", timeout=60).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
