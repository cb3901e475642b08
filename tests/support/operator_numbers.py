"""The operator's own metrics."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from mixserve_devcluster.installation import Installation

_READS = frozenset({"get", "list", "log", "watch"})

Sample = tuple[str, frozenset[tuple[str, str]]]


def numbers(installation: Installation) -> dict[Sample, float]:
    """All samples of the metrics page, by name and labels."""
    with urllib.request.urlopen(installation.metrics_url, timeout=10) as page:  # noqa: S310 - it is http
        families = list(text_string_to_metric_families(page.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def number(installation: Installation, name: str, **labels: str) -> float:
    """One sample; 0 if it is not on the page."""
    return numbers(installation).get((name, frozenset(labels.items())), 0.0)


def writes(installation: Installation) -> dict[str, float]:
    """How often the operator has written, by resource, since it was started."""
    found: dict[str, float] = {}
    for (name, labels), value in numbers(installation).items():
        call = dict(labels)
        if name == "mixserve_api_calls_total" and call["verb"] not in _READS:
            found[call["resource"]] = found.get(call["resource"], 0.0) + value
    return found
