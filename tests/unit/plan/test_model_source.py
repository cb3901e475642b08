import pytest

from mixserve.plan.model_source import model_files, pod_files, repositories_of, repository_of
from support.manifests import REVISION, pool, variant
from support.pairs import pair


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


def pod(model, draft, **variant_fields):
    manifest = pool(variant(**variant_fields), model={"source": model})
    of = pair("EAGLE3", draft=draft).spec
    return pod_files(manifest, manifest.spec.variants[0], of)


def test_a_draft_on_a_volume_of_its_own_is_mounted_beside_the_model():
    found = pod("pvc://weights/llama", {"source": "pvc://drafts/one"})

    assert found.draft.model == "/drafts/drafts/one"
    assert [volume["name"] for volume in found.volumes] == ["model", "draft"]
    assert [mount["mountPath"] for mount in found.mounts] == ["/models/weights", "/drafts/drafts"]


def test_a_draft_on_the_models_volume_needs_no_other_mount():
    found = pod("pvc://weights/llama", {"source": "pvc://weights/eagle3/llama"})

    assert found.draft.model == "/models/weights/eagle3/llama"
    assert [volume["name"] for volume in found.volumes] == ["model"]


def test_directories_of_one_name_do_not_meet():
    found = pod("host:///srv/models/llama", {"source": "host:///srv/drafts/llama"})

    assert (found.model.model, found.draft.model) == ("/models/llama", "/drafts/llama")
    assert len(found.volumes) == len(found.mounts) == 2


def test_a_draft_from_the_hub_needs_no_volume():
    found = pod("pvc://weights/llama", {"source": "hf://org/EAGLE3", "revision": REVISION})

    assert (found.draft.model, found.draft.revision) == ("org/EAGLE3", REVISION)
    assert len(found.volumes) == 1


def test_without_a_draft_there_is_only_the_model():
    manifest = pool(model={"source": "pvc://weights/llama"})
    found = pod_files(manifest, manifest.spec.variants[0], pair("NGram").spec)

    assert found.draft is None
    assert (found.volumes, found.mounts) == (found.model.volumes, found.model.mounts)


def test_all_checkpoints_of_a_pool_are_its_variants_and_the_draft():
    manifest = pool(variant("a"), variant("b"), variant("c", source="pvc://other"), model={"source": "pvc://weights"})

    assert {one.source for one in repositories_of(manifest, None)} == {"pvc://weights", "pvc://other"}
    assert repositories_of(manifest, pair("NGram").spec) == repositories_of(manifest, None)
    with_draft = repositories_of(manifest, pair("DraftModel").spec)
    assert {one.source for one in with_draft - repositories_of(manifest, None)} == {"pvc://drafts/one"}
