"""The nodes of a cluster that was started without a word about them."""

from __future__ import annotations

from typing import Any

from mixserve_devcluster.gpu_nodes import h100_nodes, l4_nodes
from mixserve_devcluster.images import simulated_images


def default_nodes() -> dict[str, Any]:
    """Return a node configuration: two nodes with an L4, one with eight H100, and simulated engines on them."""
    return {"nodes": [l4_nodes(2), h100_nodes(1)], "images": simulated_images()}
