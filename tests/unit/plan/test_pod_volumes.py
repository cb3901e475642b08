from __future__ import annotations

from mixserve.plan.launch import CHAT_TEMPLATE_DIRECTORY, CHAT_TEMPLATE_FILE, OPTIONS_DIRECTORY
from mixserve.plan.paths import CACHE_PATH
from mixserve.plan.pod_volumes import mounts, volumes
from support.manifests import pool, variant

TEMPLATE = {"chatTemplate": {"name": "templates", "key": "llama.jinja"}}
CACHE = {"cache": {"claimName": "models"}}


def volume_of(name, *variants, options_name=None, **engine):
    manifest = pool(*variants, engine=engine)
    found = volumes(manifest, manifest.spec.variants[0], options_name=options_name)
    return next((volume for volume in found if volume["name"] == name), None)


def mounts_of(name, *variants, has_options=False, **engine):
    manifest = pool(*variants, engine=engine)
    found = mounts(manifest, manifest.spec.variants[0], deployment="chat-main", has_options=has_options)
    return [mount for mount in found if mount["name"] == name]


def test_caches_go_with_the_pod_unless_there_is_a_claim():
    assert volume_of("cache") == {"name": "cache", "emptyDir": {}}
    assert mounts_of("cache") == [{"name": "cache", "mountPath": CACHE_PATH}]


def test_on_a_claim_downloads_are_shared_and_everything_else_is_apart():
    assert volume_of("cache", **CACHE) == {"name": "cache", "persistentVolumeClaim": {"claimName": "models"}}
    # The parent first: some runtimes mount in this order.
    assert mounts_of("cache", **CACHE) == [
        {"name": "cache", "mountPath": CACHE_PATH, "subPath": "engines/chat-main"},
        {"name": "cache", "mountPath": f"{CACHE_PATH}/huggingface", "subPath": "huggingface"},
    ]


def test_only_workers_that_share_a_replica_share_memory():
    four, eight = variant(tensorParallel=4), variant(tensorParallel=8)

    assert volume_of("shared-memory") is None
    assert mounts_of("shared-memory") == []
    assert volume_of("shared-memory", four)["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert volume_of("shared-memory", eight)["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Gi"}
    assert [mount["mountPath"] for mount in mounts_of("shared-memory", four)] == ["/dev/shm"]  # noqa: S108 - the container's own


def test_options_are_mounted_for_engines_that_read_them():
    assert volume_of("options", options_name="chat-main-0") == {"name": "options", "configMap": {"name": "chat-main-0"}}
    assert mounts_of("options", has_options=True) == [
        {"name": "options", "mountPath": OPTIONS_DIRECTORY, "readOnly": True}
    ]
    assert volume_of("options") is None
    assert mounts_of("options") == []


def test_a_chat_template_is_one_file_of_its_own_directory():
    items = [{"key": "llama.jinja", "path": CHAT_TEMPLATE_FILE}]

    assert volume_of("chat-template", **TEMPLATE)["configMap"] == {"name": "templates", "items": items}
    [mount] = mounts_of("chat-template", **TEMPLATE)
    assert mount["mountPath"] == CHAT_TEMPLATE_DIRECTORY
    # Nothing can be mounted below a read-only volume.
    assert not CHAT_TEMPLATE_DIRECTORY.startswith(f"{OPTIONS_DIRECTORY}/")
    assert mounts_of("chat-template") == []
