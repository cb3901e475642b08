"""Environment variables that all engines share: what the operator sets, and what is not the user's to give."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.engines.drain import ADDRESS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.engines.protocol import Launch

_CACHE = "use spec.engine.cache; the operator says where it is"
_TOKEN = "use spec.model.tokenSecretRef"  # noqa: S105 - an instruction
_GPUS = "leave it out: Kubernetes gives the pod its GPUs; spec.variants[].tensorParallel says how many"

_OWNED: Mapping[str, str] = MappingProxyType(
    {
        ADDRESS_VARIABLE: "leave it out: the operator sets it to the pod's address",
        "HF_TOKEN": _TOKEN,
        "HUGGING_FACE_HUB_TOKEN": _TOKEN,
        "HF_HOME": _CACHE,
        "HF_HUB_CACHE": _CACHE,
        "HUGGINGFACE_HUB_CACHE": _CACHE,
        "CUDA_VISIBLE_DEVICES": _GPUS,
        "NVIDIA_VISIBLE_DEVICES": _GPUS,
    }
)

_SECRET = re.compile(r"(^|_)(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
"""The last word of a name whose value should be nobody's to read; TOKENIZERS_PARALLELISM is none."""
_READABLE = "leave it out: a value in a pool can be read by everyone who may see the pool"


def hub_cache_variables(launch: Launch) -> dict[str, str]:
    """Hugging Face's libraries: no usage statistics, downloads in the cache."""
    return {
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": f"{launch.cache_path}/huggingface",
    }


def hub_variables(launch: Launch, caches: Mapping[str, str] | None = None) -> dict[str, str]:
    """The same for the engine, with no questions about what is complete.

    Args:
        launch: what is started.
        caches: the engine's own caches, which are set beside the downloads'.
    """
    variables = {**hub_cache_variables(launch), **(caches or {})}
    if not launch.downloads:
        # A checkpoint in a directory is complete; asking the hub about it would only fail or wait.
        variables["HF_HUB_OFFLINE"] = "1"
    return variables


def nccl_variables(launch: Launch) -> dict[str, str]:
    """NCCL's way around GPUs that can't reach each other.

    NCCL believes the driver, which says on some virtual machines and behind some IOMMUs that they can.
    """
    return {"NCCL_P2P_DISABLE": "1"} if launch.through_host_memory else {}


def owner_of_variable(name: str, own: Mapping[str, str]) -> str | None:
    """What to do instead of a variable that an engine (`own`) or all of them own, or that may be a secret."""
    return own.get(name) or _OWNED.get(name) or (_READABLE if _SECRET.search(name) else None)
