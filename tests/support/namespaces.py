"""Namespaces of a test's own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from support.waiting import eventually

if TYPE_CHECKING:
    from mixserve_devcluster.cluster import Cluster


def new_namespace(cluster: Cluster) -> str:
    """Make a namespace in which pods can be made, and return its name; whoever asks for it deletes it."""
    api, name = cluster.plane.api, f"test-{uuid.uuid4().hex[:10]}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    eventually(lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts")["items"], "a default ServiceAccount")
    return name
