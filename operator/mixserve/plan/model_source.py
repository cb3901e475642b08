"""Where an engine finds a model's files: hub, volume or directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool, Variant

MODELS_PATH = "/models"
"""Where checkpoints are mounted."""

_VOLUME = "model"


@dataclass(frozen=True)
class Repository:
    """A checkpoint by where it is.

    Attributes:
        source: as `spec.model.source` has it.
        revision: commit on the hub; None for other sources.
    """

    source: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.source


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


def repository_of(pool: LLMServingPool, variant: Variant) -> Repository:
    """Where the variant's checkpoint is: its own, or the pool's where it has none of its own."""
    if variant.source is None:
        return Repository(pool.spec.model.source, pool.spec.model.revision)
    return Repository(variant.source, variant.revision)


def model_files(repository: Repository) -> ModelFiles:
    """A checkpoint as a pod gets it."""
    scheme, _, rest = repository.source.partition("://")
    if scheme == "hf":
        return ModelFiles(model=rest, revision=repository.revision)
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
