"""The objects of gateways, as files (tests/golden/README.md) and in the sentences that matter most."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.api.names import ANNOTATION_LAST_VALID_POLICIES
from mixserve.plan.gateway_objects import gateway_objects
from mixserve.plan.gateway_options import GatewayOptions
from support.policies import policy

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).parents[2] / "golden"
UPDATE = os.environ.get("MIXSERVE_UPDATE_GOLDEN") == "1"
OPTIONS = GatewayOptions(image="mixserve:1")


@pytest.mark.parametrize("folder", sorted(file.parent for file in GOLDEN.glob("*/policies.yaml")), ids=lambda f: f.name)
def test_the_objects_are_as_written(folder: Path) -> None:
    content = yaml.safe_load((folder / "policies.yaml").read_text())
    policies = [policy(raw=raw) for raw in content["policies"]]
    desired = gateway_objects(
        [one.metadata for one in policies],
        valid={one.metadata.uid: one.spec for one in policies},
        options=GatewayOptions.parse(content["options"]),
    )
    bodies = [dict(one.body) for one in desired]
    path = folder / "objects.yaml"
    if UPDATE:
        dumper = yaml.SafeDumper
        dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]
        path.write_text(yaml.dump_all(bodies, Dumper=dumper, sort_keys=False, width=1000))
    assert list(yaml.safe_load_all(path.read_text())) == bodies


def objects(*names: str, **options: Any) -> dict[str, Mapping[str, Any]]:
    policies = [policy(name) for name in names]
    desired = gateway_objects(
        [one.metadata for one in policies],
        valid={one.metadata.uid: one.spec for one in policies},
        options=OPTIONS.model_copy(update=options),
    )
    return {one.kind: one.body for one in desired}


def test_all_policies_own_it_together_and_none_controls_it() -> None:
    owners = objects("b", "a")["Deployment"]["metadata"]["ownerReferences"]
    assert [(one["name"], one["controller"]) for one in owners] == [("a", False), ("b", False)]


def test_what_is_longer_than_an_annotation_may_be_is_not_noted() -> None:
    assert ANNOTATION_LAST_VALID_POLICIES in objects("a")["ServiceAccount"]["metadata"]["annotations"]
    names = [f"p{number}" for number in range(400)]
    assert ANNOTATION_LAST_VALID_POLICIES not in objects(*names)["ServiceAccount"]["metadata"]["annotations"]


def test_another_policy_does_not_restart_the_pods() -> None:
    assert objects("a")["Deployment"]["spec"] == objects("a", "b")["Deployment"]["spec"]


def test_the_certificate_is_mounted_where_only_envoy_sees_it() -> None:
    spec = objects("a", tls_secret_name="cert")["Deployment"]["spec"]["template"]["spec"]
    mounts = {
        one["name"]: {mount["name"] for mount in one["volumeMounts"]}
        for one in (*spec["initContainers"], *spec["containers"])
    }
    assert mounts == {
        "bootstrap": {"shared"},
        "envoy": {"shared", "tls"},
        "gateway": {"shared", "account"},
    }


def test_without_a_user_it_is_left_to_the_images() -> None:
    security = objects("a", run_as_user=None)["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
