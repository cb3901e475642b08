"""`AcceleratorClass`: a kind of GPU, its roofline, its price, and how to find its nodes."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, DecimalString, Memory, ObjectMeta, StrictModel
from mixserve.api.quantization import ComputeCapability


class NodeOperator(StrEnum):
    """How a node label is compared, as in a Pod's node affinity."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


class NodeRequirement(StrictModel):
    """One condition on a node's labels."""

    key: Annotated[str, Field(min_length=1, max_length=316)]
    """The label, for example nvidia.com/gpu.compute.major."""
    operator: NodeOperator
    """How the label is compared; Gt and Lt read it as an integer."""
    values: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=32)] = ()
    """What the label is compared with; none for Exists and DoesNotExist, one for Gt and Lt."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="(self.operator in ['Exists', 'DoesNotExist']) == (!has(self.values) || size(self.values) == 0)",
            message="values must be given, except for Exists and DoesNotExist",
            holds=lambda r: (r.operator in {NodeOperator.EXISTS, NodeOperator.DOES_NOT_EXIST}) == (not r.values),
        ),
        CelRule(
            rule="!(self.operator in ['Gt', 'Lt']) || "
            "(has(self.values) && size(self.values) == 1 && self.values[0].matches('^[0-9]{1,9}$'))",
            message="Gt and Lt need one integer in values",
            holds=lambda r: (
                r.operator not in {NodeOperator.GREATER, NodeOperator.LESS}
                or (len(r.values) == 1 and r.values[0].isascii() and r.values[0].isdigit() and len(r.values[0]) <= 9)  # noqa: PLR2004 - as the pattern
            ),
        ),
    )


class Tflops(StrictModel):
    """Dense matrix throughput by precision, in TFLOP/s."""

    bf16: Annotated[int, Field(ge=1, le=1000000)]
    """BF16 and FP16."""
    fp8: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """FP8; unset where the GPU has no FP8 units."""


class AcceleratorClassSpec(StrictModel):
    """What the GPU is."""

    memory: Memory
    """Memory of one GPU that a process can use, such as 22528Mi."""
    memory_bandwidth_gigabytes_per_second: Annotated[int, Field(ge=1, le=1000000)]
    """Memory bandwidth of one GPU in GB/s (10^9 bytes)."""
    compute_capability: ComputeCapability
    """NVIDIA compute capability, in quotes: "8.9"."""
    tflops: Tflops
    """Dense matrix throughput of one GPU."""
    price_per_hour: DecimalString
    """USD per GPU and hour on demand, in quotes."""
    resource_name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = (
        "nvidia.com/gpu"
    )
    """The extended resource that pods ask for, one per GPU."""
    node_requirements: Annotated[tuple[NodeRequirement, ...], Field(min_length=1, max_length=16)]
    """What a node's labels must satisfy, all of it; labels of GPU Feature Discovery are the usual choice."""


class AcceleratorClass(StrictModel):
    """A kind of GPU: memory, bandwidth, compute, price, and the node labels to find it by."""

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["AcceleratorClass"] = "AcceleratorClass"
    metadata: ObjectMeta
    spec: AcceleratorClassSpec
