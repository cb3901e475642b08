"""`AcceleratorClass`: a kind of GPU, its price, and how to find its nodes."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.catalog_status import AcceleratorClassStatus
from mixserve.api.compute_capability import ComputeCapability
from mixserve.api.scalars import LABEL_NAME, NAME_IS_A_LABEL, SUBDOMAIN, DecimalString, Memory

LABEL_KEY_PATTERN = rf"^({SUBDOMAIN}/)?{LABEL_NAME}$"
LABEL_VALUE_PATTERN = rf"^({LABEL_NAME})?$"
RESOURCE_NAME_PATTERN = rf"^{SUBDOMAIN}/{LABEL_NAME}$"
# A subdomain may have 253 characters, and quotas write "requests." before it.
_LONGEST_RESOURCE_NAME = 244
_LONGEST_SUBDOMAIN = 253
# Nine digits fit every integer type that a scheduler might read them into.
_INTEGER_PATTERN = "^[0-9]{1,9}$"


class NodeOperator(StrEnum):
    """How a node label is compared, as in a Pod's node affinity."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


_WITHOUT_VALUES = frozenset({NodeOperator.EXISTS, NodeOperator.DOES_NOT_EXIST})
_WITH_ONE_INTEGER = frozenset({NodeOperator.GREATER, NodeOperator.LESS})


class NodeRequirement(StrictModel):
    """One condition on a node's labels, as in a Pod's node affinity."""

    key: Annotated[str, Field(min_length=1, max_length=317, pattern=LABEL_KEY_PATTERN)]
    """The label, for example nvidia.com/gpu.compute.major."""
    operator: NodeOperator
    """How the label is compared. NotIn and DoesNotExist hold for nodes without the label; Gt and Lt read it as an
    integer and leave the bound itself out."""
    values: Annotated[
        tuple[Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)], ...], Field(max_length=32)
    ] = ()
    """What the label is compared with: none for Exists and DoesNotExist, one integer in quotes for Gt and Lt."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule=f"self.key.indexOf('/') <= {_LONGEST_SUBDOMAIN}",
            message=f"key must have at most {_LONGEST_SUBDOMAIN} characters before the slash",
            holds=lambda r: r.key.find("/") <= _LONGEST_SUBDOMAIN,
        ),
        CelRule(
            rule="(self.operator in ['Exists', 'DoesNotExist']) == (!has(self.values) || size(self.values) == 0)",
            message="values must be given, except for Exists and DoesNotExist",
            holds=lambda r: (r.operator in _WITHOUT_VALUES) == (not r.values),
        ),
        CelRule(
            rule="!(self.operator in ['Gt', 'Lt']) || "
            f"(has(self.values) && size(self.values) == 1 && self.values[0].matches('{_INTEGER_PATTERN}'))",
            message="Gt and Lt need one integer in values",
            holds=lambda r: (
                r.operator not in _WITH_ONE_INTEGER
                or (len(r.values) == 1 and re.fullmatch(_INTEGER_PATTERN, r.values[0]) is not None)
            ),
        ),
    )


Teraflops = Annotated[int, Field(ge=1, le=1_000_000)]


class DenseTeraflops(StrictModel):
    """Dense matrix throughput of one GPU in TFLOP/s; half of what data sheets say with sparsity."""

    bits16: Teraflops
    """BF16 and FP16."""
    bits8: Teraflops | None = None
    """FP8. Unset: the GPU has no units for it, and computes in 16 bits."""
    bits4: Teraflops | None = None
    """FP4. Unset: the GPU has no units for it, and computes in the next wider format."""

    def at(self, bits: int) -> int:
        """TFLOP/s of arithmetic in `bits` (4, 8 or 16), or in the next wider format that the GPU has units for."""
        wider = {4: (self.bits4, self.bits8, self.bits16), 8: (self.bits8, self.bits16), 16: (self.bits16,)}
        return next(value for value in wider[bits] if value is not None)


class AcceleratorClassSpec(StrictModel):
    """What the GPU is, what it costs, and where it is."""

    memory: Memory
    """Memory of one GPU that a process can use, in Mi or Gi: 22528Mi. A little less than what the GPU is sold with."""
    compute_capability: ComputeCapability
    """NVIDIA compute capability in quotes: "8.9". Decides which quantization formats run here."""
    memory_bandwidth: Annotated[int, Field(ge=1, le=1_000_000)]
    """Memory bandwidth of one GPU in GB/s (10^9 bytes per second). Decides how fast answers are generated."""
    dense_teraflops: DenseTeraflops
    """Matrix throughput. Decides how fast prompts are read."""
    gpus_per_node: Annotated[int, Field(ge=1, le=64)] = 8
    """GPUs of the largest node that has them. The GPUs of one replica are on one node, so tensorParallel can't be
    larger."""
    peer_to_peer: bool = True
    """Whether the GPUs of a node reach each other's memory directly, over NVLink or PCIe. It depends on the nodes as
    much as on the GPU: virtual machines, IOMMU and PCIe switches can forbid it, and engines on several GPUs then hang
    or fail while they start. false: they exchange tensors through the node's memory, which is slower."""
    price_per_hour: DecimalString
    """Price of one GPU in USD per hour on demand, as a decimal in quotes: "0.8048". Costs in status and plans are made
    of it, so put your own price here."""
    spot_price_per_hour: DecimalString | None = None
    """Price of one GPU in USD per hour as spot or preemptible capacity; plans show it beside the other. Unset: not
    offered."""
    resource_name: Annotated[
        str, Field(min_length=1, max_length=_LONGEST_RESOURCE_NAME, pattern=RESOURCE_NAME_PATTERN)
    ] = "nvidia.com/gpu"
    """The extended resource that pods ask for, one per GPU."""
    node_requirements: Annotated[tuple[NodeRequirement, ...], Field(min_length=1, max_length=16)]
    """What a node's labels must satisfy, all of it. Labels of GPU Feature Discovery are the usual choice: compute
    capability and memory are surer than the product name, which has suffixes when a GPU is shared or partitioned."""


class AcceleratorClass(StrictModel):
    """A kind of GPU: its memory and compute capability, its price, and the node labels to find it by.

    Variants of pools name it in `accelerator`. It is data: to add a GPU, apply another object.
    """

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["AcceleratorClass"] = "AcceleratorClass"
    metadata: ObjectMeta
    spec: AcceleratorClassSpec
    """What the GPU is, what it costs, and where it is."""
    status: AcceleratorClassStatus | None = None

    cel_rules: ClassVar[tuple[CelRule, ...]] = (NAME_IS_A_LABEL,)
