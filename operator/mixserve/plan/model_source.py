"""Where an engine finds a model's files: hub, volume or directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool, Variant

MODELS_PATH = "/models"
"""Where checkpoints are mounted."""

_VOLUME = "model"


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """A variant's checkpoint, as a pod sees it.

    Attributes:
        model: a Hugging Face id or a path inside the container.
        revision: commit of the repository; None for paths.
        volumes: what the pod needs for it.
        mounts: what the engine's container needs for it.
    """

    model: str
    revision: str | None = None
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()


def source_of(pool: LLMServingPool, variant: Variant) -> str:
    """Where the variant's checkpoint is."""
    return variant.source or pool.spec.model.source


def model_files(pool: LLMServingPool, variant: Variant) -> ModelFiles:
    """The checkpoint of the variant, or the pool's where it has none of its own."""
    source, revision = variant.source, variant.revision
    if source is None:
        source, revision = pool.spec.model.source, pool.spec.model.revision
    scheme, _, rest = source.partition("://")
    if scheme == "hf":
        return ModelFiles(model=rest, revision=revision)
    if scheme == "pvc":
        claim = rest.partition("/")[0]
        volume = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        return _mounted(volume, mount_path=f"{MODELS_PATH}/{claim}", model=f"{MODELS_PATH}/{rest}")
    path = f"{MODELS_PATH}/{rest.rpartition('/')[2]}"
    return _mounted({"hostPath": {"path": rest, "type": "Directory"}}, mount_path=path, model=path)


def _mounted(volume: dict[str, Any], *, mount_path: str, model: str) -> ModelFiles:
    return ModelFiles(
        model=model,
        volumes=({"name": _VOLUME, **volume},),
        mounts=({"name": _VOLUME, "mountPath": mount_path, "readOnly": True},),
    )
