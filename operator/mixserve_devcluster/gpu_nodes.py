"""Nodes with GPUs that the local node can pretend to have: entries of `nodes` in its configuration, as JSON."""

from __future__ import annotations

from typing import Any

# As GPU Feature Discovery labels them; the memory is what the driver reports.
_L4 = {"product": "NVIDIA-L4", "memoryMiB": 23034, "computeMajor": 8, "computeMinor": 9}
_A100 = {"product": "NVIDIA-A100-SXM4-80GB", "memoryMiB": 81920, "computeMajor": 8, "computeMinor": 0}
_H100 = {"product": "NVIDIA-H100-80GB-HBM3", "memoryMiB": 81559, "computeMajor": 9, "computeMinor": 0}
_B200 = {"product": "NVIDIA-B200", "memoryMiB": 183359, "computeMajor": 10, "computeMinor": 0}


def l4_nodes(count: int, *, gpus: int = 1) -> dict[str, Any]:
    """Return `count` nodes (1 to 1000) with so many NVIDIA L4 (1 to 16) each."""
    return {"name": "l4", "count": count, "gpu": {**_L4, "count": gpus}, **_capacity(gpus)}


def a100_nodes(count: int, *, gpus: int = 8) -> dict[str, Any]:
    """Return `count` nodes (1 to 1000) with so many NVIDIA A100 of 80 GB (1 to 16) each."""
    return {"name": "a100", "count": count, "gpu": {**_A100, "count": gpus}, **_capacity(gpus)}


def h100_nodes(count: int, *, gpus: int = 8) -> dict[str, Any]:
    """Return `count` nodes (1 to 1000) with so many NVIDIA H100 (1 to 16) each."""
    return {"name": "h100", "count": count, "gpu": {**_H100, "count": gpus}, **_capacity(gpus)}


def b200_nodes(count: int, *, gpus: int = 8) -> dict[str, Any]:
    """Return `count` nodes (1 to 1000) with so many NVIDIA B200 (1 to 16) each."""
    return {"name": "b200", "count": count, "gpu": {**_B200, "count": gpus}, **_capacity(gpus)}


def _capacity(gpus: int) -> dict[str, str]:
    """Cores and memory for that many engines, and for what runs beside them: the nodes only pretend, so plenty."""
    return {"cpu": str(32 + 8 * gpus), "memory": f"{256 + 32 * gpus}Gi"}
