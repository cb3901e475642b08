"""`SpeculativePair`: what proposes tokens that a pool's model then only has to check."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.lists import ListMap
from mixserve.api.model import REVISION_BELONGS_TO_HUB, ModelSource, Revision
from mixserve.api.model_facts import ModelFacts
from mixserve.api.scalars import AUTO, NAME_IS_A_LABEL, GpuCount
from mixserve.api.speculative_pair_status import SpeculativePairStatus

SpeculatedTokens = Annotated[int, Field(ge=1, le=32)]
LookupTokens = Annotated[int, Field(ge=1, le=32)]


class SpeculationMethod(StrEnum):
    """Where proposed tokens come from."""

    DRAFT_MODEL = "DraftModel"
    """A smaller model with the same vocabulary."""
    EAGLE3 = "EAGLE3"
    """A head trained on the hidden states of this very model."""
    MTP = "MTP"
    """Layers of the model's own checkpoint that were trained to predict more than one token."""
    NGRAM = "NGram"
    """What followed the last tokens where they occurred before in the same request."""
    SUFFIX = "Suffix"
    """The same over the answers of earlier requests as well."""


METHODS_WITH_DRAFT = frozenset({SpeculationMethod.DRAFT_MODEL, SpeculationMethod.EAGLE3})
"""Those that load something beside the model."""


class BatchStep(StrictModel):
    """How many tokens are proposed up to a batch size."""

    max_batch: Annotated[int, Field(ge=1, le=65536)]
    """The largest number of requests at once that this entry is about."""
    tokens: SpeculatedTokens
    """Tokens that are proposed per request and step."""


class Draft(StrictModel):
    """The draft model, or the EAGLE-3 head, and where its files are."""

    source: ModelSource
    """Where the files are, in the form of a pool's model.source: hf://ORGANISATION/NAME, pvc://CLAIM/PATH or
    host:///PATH. For hf:// the pool's model.tokenSecretRef is used."""
    revision: Revision | None = None
    """Commit of the Hugging Face repository: 40 hexadecimal digits, in quotes. Needed for hf://, has no meaning for
    other sources."""
    tensor_parallel: GpuCount = AUTO
    """GPUs that share the draft: 1, or as many as share the model. auto: as many as share the model, which is all that
    engines take for most methods."""
    facts: ModelFacts | None = None
    """The draft's numbers. Unset: read from its config.json where the operator can see it; else nobody checks whether
    model and draft fit together."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (REVISION_BELONGS_TO_HUB,)

    def gpus_beside(self, tensor_parallel: int) -> int:
        """GPUs that share the draft of a model that shares `tensor_parallel`."""
        return self.tensor_parallel if isinstance(self.tensor_parallel, int) else tensor_parallel


class NGram(StrictModel):
    """How long the text has to be that is looked up in the request."""

    min_lookup: LookupTokens = 2
    """Fewest tokens that have to occur again. With TensorRT-LLM one is enough, whatever this says."""
    max_lookup: LookupTokens = 4
    """Most tokens that are looked up; the longest that occurs again is taken."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.minLookup <= self.maxLookup",
            message="minLookup must not be greater than maxLookup",
            holds=lambda ngram: ngram.min_lookup <= ngram.max_lookup,
        ),
    )


class SpeculativePairSpec(StrictModel):
    """How tokens are proposed. method is needed, and draft for DraftModel and EAGLE3."""

    method: SpeculationMethod
    """Where proposed tokens come from. DraftModel: a smaller model with the same vocabulary. EAGLE3: a head trained for
    the model. MTP: layers of the model's own checkpoint. NGram: what followed the same words earlier in the request.
    Suffix: the same over earlier requests as well."""
    tokens: SpeculatedTokens = 3
    """Tokens that are proposed per request and step. The model checks them all at once and keeps those that it would
    have chosen, so answers stay the same; what it does not keep was computed in vain."""
    batch_schedule: Annotated[tuple[BatchStep, ...], Field(max_length=16), ListMap("max_batch")] = ()
    """How many tokens are proposed at which batch size, by growing maxBatch: large batches leave no arithmetic to
    spare. Batches larger than the last entry get none. Unset: tokens at every batch size."""
    draft: Draft | None = None
    """What is loaded beside the model: only for DraftModel and EAGLE3, which need it."""
    ngram: NGram | None = None
    """Bounds of the lookup: only for NGram. Unset: their defaults."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="(self.method in ['DraftModel', 'EAGLE3']) == has(self.draft)",
            message="draft is needed for DraftModel and EAGLE3 and has no meaning for others",
            holds=lambda spec: (spec.method in METHODS_WITH_DRAFT) == (spec.draft is not None),
        ),
        CelRule(
            rule="self.method == 'NGram' || !has(self.ngram)",
            message="ngram has no meaning unless method is NGram",
            holds=lambda spec: spec.method is SpeculationMethod.NGRAM or spec.ngram is None,
        ),
        CelRule(
            rule="!has(self.batchSchedule) || self.batchSchedule.map(step, step.maxBatch).isSorted()",
            message="batchSchedule must be in the order of growing maxBatch",
            holds=lambda spec: list(spec.batches) == sorted(spec.batches),
        ),
        CelRule(
            rule="!has(self.batchSchedule) || self.batchSchedule.all(step, step.tokens <= self.tokens)",
            message="batchSchedule[].tokens must not be more than tokens",
            holds=lambda spec: all(step.tokens <= spec.tokens for step in spec.batch_schedule),
        ),
        CelRule(
            rule="!has(self.batchSchedule) || self.batchSchedule.map(step, -step.tokens).isSorted()",
            message="batchSchedule[].tokens must not grow with maxBatch: larger batches leave less arithmetic to spare",
            holds=lambda spec: all(
                after.tokens <= before.tokens
                for before, after in zip(spec.batch_schedule, spec.batch_schedule[1:], strict=False)
            ),
        ),
    )

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes at which the number of tokens changes."""
        return tuple(step.max_batch for step in self.batch_schedule)

    @property
    def lookup(self) -> NGram:
        """The bounds of the lookup, for NGram."""
        return self.ngram or NGram()

    def tokens_at(self, batch: float) -> int:
        """Tokens that are proposed per request and step with `batch` (> 0) requests at once; 0 for none."""
        if not self.batch_schedule:
            return self.tokens
        return next((step.tokens for step in self.batch_schedule if batch <= step.max_batch), 0)


class SpeculativePair(StrictModel):
    """Speculative decoding: something cheap proposes tokens, and a pool's model checks several of them in one step.

    Pools of the same namespace name it in `speculativePairRef`. The smallest one needs no second model:

        spec:
          method: NGram
    """

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["SpeculativePair"] = "SpeculativePair"
    metadata: ObjectMeta
    spec: SpeculativePairSpec
    status: SpeculativePairStatus | None = None

    cel_rules: ClassVar[tuple[CelRule, ...]] = (NAME_IS_A_LABEL,)
