import pytest

from mixserve.plan.model_source import model_files, repository_of
from support.manifests import REVISION, pool, variant


def files(model=None, **variant_fields):
    manifest = pool(variant(**variant_fields), model=model)
    return model_files(repository_of(manifest, manifest.spec.variants[0]))


def test_a_repository_needs_no_volume():
    found = files({"source": "hf://org/Name", "revision": REVISION})

    assert (found.model, found.revision) == ("org/Name", REVISION)
    assert found.volumes == found.mounts == ()


@pytest.mark.parametrize(
    ("source", "model"),
    [("pvc://weights", "/models/weights"), ("pvc://weights/llama/fp8", "/models/weights/llama/fp8")],
)
def test_a_claim_is_mounted_whole_and_read_only(source, model):
    found = files({"source": source})

    assert (found.model, found.revision) == (model, None)
    assert found.volumes == ({"name": "model", "persistentVolumeClaim": {"claimName": "weights", "readOnly": True}},)
    assert found.mounts == ({"name": "model", "mountPath": "/models/weights", "readOnly": True},)


def test_a_directory_of_the_node_is_mounted_read_only_under_its_name():
    found = files({"source": "host:///srv/models/tiny"})

    assert (found.model, found.revision) == ("/models/tiny", None)
    assert found.volumes == ({"name": "model", "hostPath": {"path": "/srv/models/tiny", "type": "Directory"}},)
    assert found.mounts == ({"name": "model", "mountPath": "/models/tiny", "readOnly": True},)


def test_a_variant_may_have_a_checkpoint_of_its_own():
    found = files({"source": "pvc://weights"}, source="hf://org/Name-AWQ", revision=REVISION)

    assert (found.model, found.revision) == ("org/Name-AWQ", REVISION)
