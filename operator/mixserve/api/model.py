"""The part of a pool's spec that names a model: where its files are, and the adapters that are served with it."""

from typing import Annotated, ClassVar

from pydantic import Field

from mixserve.api.base import CelRule, StrictModel
from mixserve.api.lists import ListMap
from mixserve.api.model_facts import ModelFacts
from mixserve.api.pod_inputs import SecretKeyRef

# No part of a path may be "..": it would lead out of the claim or directory.
_PATH_PART = r"\.?[A-Za-z0-9_-][A-Za-z0-9._-]*"
SOURCE_PATTERN = (
    r"^(hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
    rf"|pvc://[a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?(/{_PATH_PART})*"
    rf"|host://(/{_PATH_PART})+)$"
)
ModelSource = Annotated[str, Field(max_length=512, pattern=SOURCE_PATTERN)]
Revision = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]

ServedName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]

LARGEST_RANK = 512
"""Of an adapter: vLLM's limit."""


REVISION_BELONGS_TO_HUB = CelRule(
    rule="self.source.startsWith('hf://') == has(self.revision)",
    message="revision is needed for hf:// sources and has no meaning for others",
    holds=lambda files: files.source.startswith("hf://") == (files.revision is not None),
)
"""For what has a source of its own."""


class Adapter(StrictModel):
    """A LoRA adapter: small weights beside those of the model, which requests choose by a model name of its own."""

    name: ServedName
    """The model name that clients send for it, unique in the namespace as the names in servedNames are."""
    source: ModelSource
    """Where its files are, adapter_config.json and adapter_model.safetensors, in the form of model.source. From the hub
    they are fetched before the engine starts."""
    revision: Revision | None = None
    """Commit of the Hugging Face repository. Needed for hf:// sources, without a meaning for others."""
    rank: Annotated[int, Field(ge=1, le=LARGEST_RANK)] = 16
    """Its rank (r in adapter_config.json). The engine makes room for the largest one of the pool's, once for each
    adapter."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (REVISION_BELONGS_TO_HUB,)


class Model(StrictModel):
    """The model and where its files are."""

    source: ModelSource
    """Where the files are: hf://ORGANISATION/NAME on the Hugging Face Hub, pvc://CLAIM/PATH on a volume of the
    namespace, or host:///PATH on the node (for development: the baseline Pod Security Standard refuses it)."""
    revision: Revision | None = None
    """Commit of the Hugging Face repository: 40 hexadecimal digits, in quotes. Needed for hf://, so that every replica
    runs the same weights; has no meaning for other sources."""
    token_secret_ref: SecretKeyRef | None = None
    """Hugging Face token, for gated or private repositories. Unset: none is sent."""
    adapters: Annotated[tuple[Adapter, ...], Field(max_length=16), ListMap("name")] = ()
    """LoRA adapters that each replica serves beside the model, with vLLM alone. Whoever asks for a name gets that
    adapter; one batch has requests for all of them."""
    facts: ModelFacts | None = None
    """The model's numbers, from which memory and parallelism are planned. Unset: read from the checkpoint, by the
    operator on the hub, by a Job on a volume; where that can't be, nobody checks whether the model fits. `mixserve
    facts` prints them."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (REVISION_BELONGS_TO_HUB,)
