"""`QuantizationFormat`: how weights are stored, and which engine runs them on which GPU."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.engine import EngineType
from mixserve.api.lists import ListMap, ListSet
from mixserve.api.scalars import NAME_IS_A_LABEL, DecimalString, EngineArgument

ComputeCapability = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]$")]

QUANT_METHOD_PATTERN = "^[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"


def is_at_least(found: str, needed: str) -> bool:
    """Whether compute capability `found` is not older than `needed`, as numbers: "10.0" is newer than "9.0"."""
    return _numbers(found) >= _numbers(needed)


def _numbers(compute_capability: str) -> tuple[int, int]:
    major, _, minor = compute_capability.partition(".")
    return int(major), int(minor)


class Checkpoint(StrictModel):
    """How the config.json of a checkpoint shows that its weights are in the format."""

    quant_methods: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=63, pattern=QUANT_METHOD_PATTERN)], ...],
        Field(max_length=16),
        ListSet(),
    ] = ()
    """What quantization_config.quant_method may be, in lower case: awq, compressed-tensors. For checkpoints of
    ModelOpt: modelopt if the algorithm is FP8, else with the algorithm, as in modelopt_nvfp4. Empty: there is no
    quantization_config, since the weights are not quantized."""


class QuantizationEngine(StrictModel):
    """How one engine runs the format."""

    type: EngineType
    """The engine that this entry is about."""
    minimum_compute_capability: ComputeCapability
    """The oldest NVIDIA compute capability that runs the format at all, in quotes: "7.5". A pool that puts the format
    on an older GPU is refused."""
    native_compute_capability: ComputeCapability
    """From this compute capability on, matrix arithmetic is done in computeBits; below it, weights are widened to 16
    bits first, so that the format saves memory but no arithmetic. The minimum again where computeBits is 16, as with
    AWQ: there is nothing below 16-bit arithmetic to be native for."""
    arguments: Annotated[tuple[EngineArgument, ...], Field(max_length=16)] = ()
    """Engine arguments that the format needs, each as --flag or --flag=value: --quantization, and flags that neither a
    field of the pool nor the operator stands for. Leave it empty for checkpoints that are quantized already: their
    config.json says how, and a flag that contradicts it stops the engine."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            # As numbers they compare rightly, because the minor part has one digit.
            rule="double(self.minimumComputeCapability) <= double(self.nativeComputeCapability)",
            message="nativeComputeCapability must not be older than minimumComputeCapability",
            holds=lambda engine: engine.runs_on(engine.native_compute_capability),
        ),
    )

    def runs_on(self, compute_capability: str) -> bool:
        """Whether a GPU of this compute capability runs the format at all."""
        return is_at_least(compute_capability, self.minimum_compute_capability)

    def is_native_on(self, compute_capability: str) -> bool:
        """Whether a GPU of this compute capability computes in the format itself."""
        return is_at_least(compute_capability, self.native_compute_capability)


class QuantizationFormatSpec(StrictModel):
    """What the format is."""

    bits_per_weight: DecimalString
    """Effective bits of one quantized weight, with its share of scales and zero points, as a decimal in quotes from 1
    to 32: "16", "8", "4.156"."""
    compute_bits: Literal[4, 8, 16]
    """Bits of the matrix arithmetic where the format is native. 16 for weight-only formats such as AWQ."""
    checkpoint: Checkpoint | None = None
    """How to tell checkpoints in the format from others. A pool that puts a checkpoint in another format into a variant
    of this one is refused. Unset: nobody checks that."""
    engines: Annotated[tuple[QuantizationEngine, ...], Field(min_length=1, max_length=8), ListMap("type")]
    """The engines that run the format, and from which GPU on. An engine that is not listed does not run it."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="double(self.bitsPerWeight) >= 1.0 && double(self.bitsPerWeight) <= 32.0",
            message="bitsPerWeight must be from 1 to 32",
            holds=lambda spec: Decimal(1) <= spec.bits_per_weight <= Decimal(32),
        ),
    )


class QuantizationFormat(StrictModel):
    """A way to store a model's weights: how many bits they take, which engines run it, and from which GPU on.

    Variants of pools name it in `quantization`. It is data: to add a format, apply another object.
    """

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["QuantizationFormat"] = "QuantizationFormat"
    metadata: ObjectMeta
    spec: QuantizationFormatSpec
    """What the format is."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (NAME_IS_A_LABEL,)
