from mixserve.api.model import Adapter
from mixserve.engines.protocol import LaunchedAdapter
from mixserve.plan.adapter_files import AdapterFiles, HubAdapter, adapter_files

REVISION = "0123456789abcdef0123456789abcdef01234567"


def files(*sources):
    adapters = tuple(
        Adapter(name=f"a{number}", source=source, revision=REVISION if source.startswith("hf://") else None)
        for number, source in enumerate(sources)
    )
    return adapter_files(adapters, cache_path="/cache")


def paths(found):
    return [one.path for one in found.launched]


def test_a_pool_without_adapters_needs_nothing():
    assert files() == AdapterFiles()


def test_adapters_of_one_claim_share_a_volume():
    found = files("pvc://adapters/law", "pvc://adapters/tax/2026", "pvc://other")

    assert paths(found) == ["/adapters/adapters-0/law", "/adapters/adapters-0/tax/2026", "/adapters/adapters-1"]
    assert found.volumes == (
        {"name": "adapters-0", "persistentVolumeClaim": {"claimName": "adapters", "readOnly": True}},
        {"name": "adapters-1", "persistentVolumeClaim": {"claimName": "other", "readOnly": True}},
    )
    assert found.mounts == (
        {"name": "adapters-0", "mountPath": "/adapters/adapters-0", "readOnly": True},
        {"name": "adapters-1", "mountPath": "/adapters/adapters-1", "readOnly": True},
    )
    assert found.hub == ()


def test_a_directory_of_the_node_is_mounted_as_it_is():
    found = files("host:///srv/law", "host:///srv/law-2")

    assert paths(found) == ["/adapters/adapters-0", "/adapters/adapters-1"]
    assert found.volumes[1] == {"name": "adapters-1", "hostPath": {"path": "/srv/law-2", "type": "Directory"}}


def test_adapters_of_the_hub_lie_in_the_cache_where_its_library_puts_them():
    found = files("hf://org/law", "hf://org/law", "pvc://adapters/x")
    snapshot = f"/cache/huggingface/hub/models--org--law/snapshots/{REVISION}"

    assert paths(found) == [snapshot, snapshot, "/adapters/adapters-0/x"]
    assert found.hub == (HubAdapter("org/law", REVISION),)


def test_the_rank_goes_to_the_engine():
    (found,) = adapter_files((Adapter(name="a", source="pvc://a", rank=64),), cache_path="/cache").launched

    assert found == LaunchedAdapter(name="a", path="/adapters/adapters-0", rank=64)
