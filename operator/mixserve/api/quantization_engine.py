"""The part of a `QuantizationFormat` that says how one engine runs it."""

from typing import Annotated, ClassVar

from pydantic import Field

from mixserve.api.base import CelRule, StrictModel
from mixserve.api.compute_capability import ComputeCapability, cel_is_at_least, is_at_least
from mixserve.api.engine import EngineType, EngineVersion
from mixserve.api.scalars import EngineArgument


class Refusal(StrictModel):
    """GPUs that the engine does not run the format on although they are new enough."""

    from_compute_capability: ComputeCapability
    """The oldest NVIDIA compute capability that is refused, in quotes: "10.0". Newer ones are refused as well."""
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    """Why, as a clause: the INT8 kernels end with compute capability 9.0."""


class QuantizationEngine(StrictModel):
    """How one engine runs the format."""

    type: EngineType
    """The engine that this entry is about."""
    minimum_version: EngineVersion | None = None
    """The oldest version of the engine that runs the format with these arguments, in quotes: "0.32.0". A pool with an
    older one is refused. Unset: every version does."""
    minimum_compute_capability: ComputeCapability
    """The oldest NVIDIA compute capability that runs the format at all, in quotes: "7.5". A pool that puts the format
    on an older GPU is refused."""
    native_compute_capability: ComputeCapability | None = None
    """From this compute capability on, matrix arithmetic is done in computeBits; below it, weights are widened to 16
    bits first, so that the format saves memory but no arithmetic. Unset: wherever the format runs, as with AWQ, whose
    16-bit arithmetic every GPU has, and with formats of the KV cache."""
    fallback_kernel: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """The engine's kernels below nativeComputeCapability, as its log calls them: Marlin. Only where
    nativeComputeCapability is set."""
    refused: Annotated[tuple[Refusal, ...], Field(max_length=8)] = ()
    """GPUs that are new enough and don't run the format all the same. A pool that puts the format on one is refused
    with the reason."""
    arguments: Annotated[tuple[EngineArgument, ...], Field(max_length=16)] = ()
    """Engine arguments that the format needs, each as --flag or --flag=value: --quantization (or, for a format of the
    KV cache, vLLM's --kv-cache-dtype and TensorRT-LLM's --kv_cache_dtype), and flags that neither a field of the pool
    nor the operator stands for. Leave it empty for checkpoints that are quantized already: their config.json says how,
    and a flag that contradicts it stops the engine."""

    # As numbers compute capabilities compare rightly, because the minor part has one digit.
    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="!has(self.nativeComputeCapability) || "
            + cel_is_at_least("self.nativeComputeCapability", "self.minimumComputeCapability"),
            message="nativeComputeCapability must not be older than minimumComputeCapability",
            holds=lambda engine: is_at_least(engine.first_native, engine.minimum_compute_capability),
        ),
        CelRule(
            rule="!has(self.fallbackKernel) || has(self.nativeComputeCapability)",
            message="fallbackKernel is only for formats with a nativeComputeCapability",
            holds=lambda engine: engine.fallback_kernel is None or engine.native_compute_capability is not None,
        ),
        CelRule(
            rule="!has(self.refused) || self.refused.all(entry, "
            + cel_is_at_least("entry.fromComputeCapability", "self.minimumComputeCapability")
            + ")",
            message="refused[].fromComputeCapability must not be older than minimumComputeCapability",
            holds=lambda engine: all(
                is_at_least(each.from_compute_capability, engine.minimum_compute_capability) for each in engine.refused
            ),
        ),
    )

    @property
    def first_native(self) -> str:
        """The oldest compute capability that computes in the format itself."""
        return self.native_compute_capability or self.minimum_compute_capability

    def refusal_on(self, compute_capability: str) -> Refusal | None:
        """Why a GPU that is new enough does not run the format; None if it does, or is too old."""
        return next(
            (entry for entry in self.refused if is_at_least(compute_capability, entry.from_compute_capability)), None
        )

    def runs_on(self, compute_capability: str) -> bool:
        """Whether a GPU of this compute capability runs the format at all."""
        is_new_enough = is_at_least(compute_capability, self.minimum_compute_capability)
        return is_new_enough and self.refusal_on(compute_capability) is None

    def is_native_on(self, compute_capability: str) -> bool:
        """Whether a GPU of this compute capability computes in the format itself."""
        return is_at_least(compute_capability, self.first_native)
