"""Where an engine finds a model's files: hub, volume or directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mixserve.plan.adapter_files import AdapterFiles, adapter_files
from mixserve.plan.paths import CACHE_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.api.speculative_pair import SpeculativePairSpec

MODELS_PATH = "/models"
"""Where checkpoints are mounted."""

DRAFTS_PATH = "/drafts"
"""Where drafts are mounted: a directory of the node may be called as the model's."""

_VOLUME = "model"
_DRAFT_VOLUME = "draft"


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


@dataclass(frozen=True, kw_only=True)
class PodFiles:
    """Everything that the engine of a variant loads.

    Attributes:
        model: the variant's checkpoint.
        draft: of its SpeculativePair; None where there is none.
        adapters: LoRA adapters beside the model.
    """

    model: ModelFiles
    draft: ModelFiles | None
    adapters: AdapterFiles = field(default_factory=AdapterFiles)

    @property
    def volumes(self) -> tuple[dict[str, Any], ...]:
        """What the pod needs for it."""
        return (*self.model.volumes, *(() if self.draft is None else self.draft.volumes), *self.adapters.volumes)

    @property
    def mounts(self) -> tuple[dict[str, Any], ...]:
        """What the engine's container needs for it."""
        return (*self.model.mounts, *(() if self.draft is None else self.draft.mounts), *self.adapters.mounts)


def pod_files(pool: LLMServingPool, variant: Variant, pair: SpeculativePairSpec | None) -> PodFiles:
    """What the engine of a variant loads, as its pod sees it.

    Args:
        pool: a valid pool.
        variant: one of its variants.
        pair: the spec of the pair that the pool names, or None.
    """
    repository = repository_of(pool, variant)
    draft = None if pair is None else draft_repository(pair)
    return PodFiles(
        model=model_files(repository),
        draft=None if draft is None else draft_files(draft, beside=repository),
        adapters=adapter_files(pool.spec.model.adapters, cache_path=CACHE_PATH),
    )


def repository_of(pool: LLMServingPool, variant: Variant) -> Repository:
    """Where the variant's checkpoint is: its own, or the pool's where it has none of its own."""
    if variant.source is None:
        return Repository(pool.spec.model.source, pool.spec.model.revision)
    return Repository(variant.source, variant.revision)


def draft_repository(pair: SpeculativePairSpec) -> Repository | None:
    """Where a pair's draft is; None for methods without one."""
    return None if pair.draft is None else Repository(pair.draft.source, pair.draft.revision)


def repositories_of(pool: LLMServingPool, pair: SpeculativePairSpec | None) -> frozenset[Repository]:
    """Every checkpoint that the pool's engines load, with the draft of the pair that it names, if there is one."""
    return frozenset(_repositories(pool, pair))


def _repositories(pool: LLMServingPool, pair: SpeculativePairSpec | None) -> Iterator[Repository]:
    yield from (repository_of(pool, variant) for variant in pool.spec.variants)
    draft = None if pair is None else draft_repository(pair)
    if draft is not None:
        yield draft


def model_files(repository: Repository) -> ModelFiles:
    """A checkpoint as a pod gets it."""
    return _files(repository, volume=_VOLUME, directory=MODELS_PATH)


def draft_files(draft: Repository, *, beside: Repository) -> ModelFiles:
    """A draft as the pod of a model gets it; on the model's own claim it needs no second mount."""
    claim = _claim(draft)
    if claim is not None and claim == _claim(beside):
        return ModelFiles(model=f"{MODELS_PATH}/{draft.source.partition('://')[2]}")
    return _files(draft, volume=_DRAFT_VOLUME, directory=DRAFTS_PATH)


def _claim(repository: Repository) -> str | None:
    scheme, _, rest = repository.source.partition("://")
    return rest.partition("/")[0] if scheme == "pvc" else None


def _files(
    repository: Repository,
    *,
    volume: str,
    directory: str,
) -> ModelFiles:
    scheme, _, rest = repository.source.partition("://")
    if scheme == "hf":
        return ModelFiles(model=rest, revision=repository.revision)
    claim = _claim(repository)
    if claim is not None:
        source: dict[str, Any] = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        mount_path, model = f"{directory}/{claim}", f"{directory}/{rest}"
    else:
        source = {"hostPath": {"path": rest, "type": "Directory"}}
        mount_path = model = f"{directory}/{rest.rpartition('/')[2]}"
    return ModelFiles(
        model=model,
        volumes=({"name": volume, **source},),
        mounts=({"name": volume, "mountPath": mount_path, "readOnly": True},),
    )
