"""A planner on a cluster with the built-in catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from mixserve.apply.resources import ACCELERATORS, FORMATS
from mixserve.catalog.built_in import ACCELERATORS_FOLDER, FORMATS_FOLDER, manifests
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.parsed_specs import ParsedSpecs
from mixserve.controller.planning import Planner
from mixserve.observe.model_files import ModelConfigReader

if TYPE_CHECKING:
    from mixserve.controller.checkpoints.reader import CheckpointReader

_NAMESPACED = frozenset({"LLMServingPool", "SpeculativePair"})


def stored(
    body: dict[str, Any], *, version: int = 1, generation: int = 1, created: str = "2026-01-01T00:00:00Z"
) -> Any:
    """A manifest as the API server has it, in the namespace ns where it has one."""
    name, kind = body["metadata"]["name"], body["kind"]
    metadata = {
        "name": name,
        # The pool and the pair of a test may have one name.
        "uid": f"uid-{name}" if kind == "LLMServingPool" else f"uid-{kind}-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": created,
    }
    return {**body, "metadata": {**metadata, "namespace": "ns"} if kind in _NAMESPACED else metadata}


def view_of_catalog() -> ClusterView:
    """A cluster with the built-in catalogue and nothing else."""
    view = ClusterView()
    for resource, folder in ((FORMATS, FORMATS_FOLDER), (ACCELERATORS, ACCELERATORS_FOLDER)):
        for text in manifests(folder).values():
            view.put(resource, stored(yaml.safe_load(text)))
    return view


def planner_on(view: ClusterView, reader: CheckpointReader | None = None) -> Planner:
    """A planner that has just started; it reads `host://` unless told."""
    return Planner(view, reader or ModelConfigReader(), ParsedSpecs())
