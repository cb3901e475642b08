"""The Job that reads a volume, as an API server sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mixserve.plan.files_job import files_job
from mixserve.plan.model_source import Repository
from mixserve_devcluster import kubectl
from support.manifests import pool

if TYPE_CHECKING:
    from mixserve_devcluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration


def test_its_pod_is_admitted_where_only_restricted_ones_are(control_plane: ControlPlane, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl.run(control_plane.kubeconfig, "label", "namespace", namespace, label)
    job = files_job(pool(), Repository("pvc://models/llama"), image="mixserve:1", version="").body
    metadata = {"name": "reader", "namespace": namespace}
    bodies = [
        {**job, "metadata": metadata},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": job["spec"]["template"]["spec"]},
    ]
    for body in bodies:
        said = kubectl.run(
            control_plane.kubeconfig,
            *("create", "--dry-run=server", "--filename=-"),
            standard_input=json.dumps(body),
        )
        assert "created (server dry run)" in said
