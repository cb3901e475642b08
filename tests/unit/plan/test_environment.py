from __future__ import annotations

import pytest

from mixserve.plan.environment import environment
from mixserve.plan.launch import launch_of
from mixserve.plan.model_source import pod_files
from mixserve.plan.placement import placement_of
from support.manifests import REVISION, accelerator_like, catalog_with, pool, variant

TOKEN = {"name": "hf-token", "key": "token"}


def variables(manifest, *entries):
    """The variables of the first variant's pods, in their order, by name."""
    first = manifest.spec.variants[0]
    placement = placement_of(manifest, variant=first, catalog=catalog_with(*entries))
    files = pod_files(manifest, first, None)
    launch = launch_of(manifest, first, placement=placement, plan=None, files=files)
    found = environment(manifest, launch)
    assert len({entry["name"] for entry in found}) == len(found)
    return {entry["name"]: entry for entry in found}


@pytest.mark.parametrize(
    ("source", "token", "has_token"),
    [
        (None, {"tokenSecretRef": TOKEN}, True),
        (None, {}, False),
        # A missing Secret would hold up the pod for nothing.
        ("pvc://weights", {"tokenSecretRef": TOKEN}, False),
    ],
)
def test_the_token_comes_from_its_secret_and_only_for_the_hub(source, token, has_token):
    model = {"source": "hf://org/Name", "revision": REVISION, **token}
    found = variables(pool(variant(source=source), variant("hub"), model=model))

    assert ("HF_TOKEN" in found) is has_token
    if has_token:
        assert found["HF_TOKEN"] == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": TOKEN}}


def test_what_the_pool_adds_comes_after_what_the_operator_sets():
    found = list(variables(pool(engine={"env": [{"name": "NCCL_DEBUG", "value": "INFO"}]})).values())

    assert found[0]["name"] == "POD_IP"
    assert found[-1] == {"name": "NCCL_DEBUG", "value": "INFO"}


@pytest.mark.parametrize("value", ["0", ""])
def test_the_pools_value_of_a_variable_wins(value):
    manifest = pool(
        variant(accelerator="mine", tensorParallel=2),
        engine={"env": [{"name": "NCCL_P2P_DISABLE", "value": value}]},
    )
    found = variables(manifest, accelerator_like("mine", peerToPeer=False))

    assert found["NCCL_P2P_DISABLE"]["value"] == value


def test_gpus_that_do_not_reach_each_other_are_told_so():
    found = variables(pool(variant(accelerator="mine", tensorParallel=2)), accelerator_like("mine", peerToPeer=False))

    assert found["NCCL_P2P_DISABLE"]["value"] == "1"
