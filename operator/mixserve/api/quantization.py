"""`QuantizationFormat`: how weights are stored, and which engine runs them on which GPU."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, DecimalString, ObjectMeta, StrictModel
from mixserve.api.engine import EngineType

ComputeCapability = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]$")]


def capability(value: str) -> tuple[int, int]:
    """A compute capability such as "8.9" as a pair that compares rightly ("10.0" is newer than "9.0")."""
    major, _, minor = value.partition(".")
    return int(major), int(minor)


class QuantizationEngine(StrictModel):
    """How one engine runs the format."""

    type: EngineType
    """The engine that this row is about."""
    minimum_compute_capability: ComputeCapability
    """The oldest NVIDIA compute capability that runs the format at all."""
    native_compute_capability: ComputeCapability
    """From here on the arithmetic itself uses the format; below, the format only saves memory."""
    arguments: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=256, pattern="^--[a-z]")], ...], Field(max_length=16)
    ] = ()
    """Engine arguments that the format needs, each as --flag=value; empty where the checkpoint itself says it."""


class QuantizationFormatSpec(StrictModel):
    """What the format is."""

    bits_per_weight: DecimalString
    """Effective bits per quantized weight, scales included, in quotes: "16", "4.156"."""
    compute_bits: Annotated[int, Field(ge=4, le=16)]
    """Bits of the matrix arithmetic where it is native: 16, 8 or 4."""
    engines: Annotated[
        tuple[QuantizationEngine, ...],
        Field(min_length=1, max_length=8, json_schema_extra={"x-list-map-key": "type"}),
    ]
    """The engines that run the format; an engine that is not listed does not."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.computeBits in [4, 8, 16]",
            message="computeBits must be 4, 8 or 16",
            holds=lambda spec: spec.compute_bits in {4, 8, 16},
        ),
    )


class QuantizationFormat(StrictModel):
    """A way to store weights: bits, the engines that run it, and from which GPU on."""

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["QuantizationFormat"] = "QuantizationFormat"
    metadata: ObjectMeta
    spec: QuantizationFormatSpec
