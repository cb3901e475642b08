"""What an engine's pod mounts besides the model: caches, shared memory, files of the operator and of the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.plan.launch import CHAT_TEMPLATE_DIRECTORY, CHAT_TEMPLATE_FILE, OPTIONS_DIRECTORY
from mixserve.plan.paths import CACHE_PATH
from mixserve.plan.resources import memory_quantity, shared_memory_bytes

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool, Variant

_CACHE = "cache"
_SHARED_MEMORY = "shared-memory"
_OPTIONS = "options"
_CHAT_TEMPLATE = "chat-template"

_DOWNLOADS = "huggingface"
"""Where HF_HOME is in the cache: the one part that pools share on a claim, because the hub's library locks it."""

Volume = dict[str, Any]
Mount = dict[str, Any]


def volumes(pool: LLMServingPool, variant: Variant, *, options_name: str | None) -> list[Volume]:
    """The pod's volumes.

    Args:
        pool: a valid pool.
        variant: one of its variants.
        options_name: the ConfigMap with the engine's file of options; None for an engine that reads none.
    """
    cache, template = pool.spec.engine.cache, pool.spec.engine.chat_template
    found: list[Volume] = [
        {"name": _CACHE, "emptyDir": {}}
        if cache is None
        else {"name": _CACHE, "persistentVolumeClaim": {"claimName": cache.claim_name}}
    ]
    if shared := shared_memory_bytes(variant.gpus):
        size = memory_quantity(shared)
        found.append({"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": size}})
    if options_name is not None:
        found.append({"name": _OPTIONS, "configMap": {"name": options_name}})
    if template is not None:
        items = [{"key": template.key, "path": CHAT_TEMPLATE_FILE}]
        found.append({"name": _CHAT_TEMPLATE, "configMap": {"name": template.name, "items": items}})
    return found


def mounts(pool: LLMServingPool, variant: Variant, *, deployment: str, has_options: bool) -> list[Mount]:
    """Where the engine's container sees them.

    Args:
        pool: a valid pool.
        variant: one of its variants.
        deployment: the name of the variant's Deployment, by which a shared cache keeps it apart from others.
        has_options: whether the engine reads a file of options.
    """
    found = cache_mounts(deployment, shared=pool.spec.engine.cache is not None)
    if shared_memory_bytes(variant.gpus):
        found.append({"name": _SHARED_MEMORY, "mountPath": "/dev/shm"})  # noqa: S108 - the container's own
    if has_options:
        found.append({"name": _OPTIONS, "mountPath": OPTIONS_DIRECTORY, "readOnly": True})
    if pool.spec.engine.chat_template is not None:
        found.append({"name": _CHAT_TEMPLATE, "mountPath": CHAT_TEMPLATE_DIRECTORY, "readOnly": True})
    return found


def cache_mounts(deployment: str, *, shared: bool) -> list[Mount]:
    """Where the cache is: on a claim a directory for each Deployment.

    Engines do not name all that they compile by all that it depends on.

    Args:
        deployment: the name of the variant's Deployment.
        shared: whether the cache is on a claim.
    """
    if not shared:
        return [{"name": _CACHE, "mountPath": CACHE_PATH}]
    return [
        {"name": _CACHE, "mountPath": CACHE_PATH, "subPath": f"engines/{deployment}"},
        {"name": _CACHE, "mountPath": f"{CACHE_PATH}/{_DOWNLOADS}", "subPath": _DOWNLOADS},
    ]
