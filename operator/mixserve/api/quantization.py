"""`QuantizationFormat`: how weights or the KV cache are stored, and which engine runs that on which GPU."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.catalog_status import QuantizationFormatStatus
from mixserve.api.lists import ListMap, ListSet
from mixserve.api.quantization_engine import QuantizationEngine
from mixserve.api.scalars import DECIMAL_PATTERN, NAME_IS_A_LABEL, DecimalString

QUANT_METHOD_PATTERN = "^[a-z0-9]([-_a-z0-9]*[a-z0-9])?(:[a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"
LONGEST_QUANT_METHOD = 63

KV_CACHE_PREFIX = "kv-"
"""What the names of the KV cache's formats begin with; a pool leaves it out."""


class FormatTarget(StrEnum):
    """What a format stores."""

    WEIGHTS = "Weights"
    KV_CACHE = "KVCache"


class ModelPart(StrEnum):
    """A part of a model's weights that formats treat differently from the rest."""

    EMBEDDINGS = "Embeddings"
    """The table from token to vector."""
    OUTPUT_MATRIX = "OutputMatrix"
    """The matrix from vector to token (lm_head); the same numbers as the embeddings where a model ties them."""
    ATTENTION = "Attention"
    """The projections of query, key, value and output."""
    ROUTER = "Router"
    """The matrices that choose the experts of a mixture of experts."""


class Checkpoint(StrictModel):
    """How the config.json of a checkpoint shows that its weights are in the format."""

    quant_methods: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_QUANT_METHOD, pattern=QUANT_METHOD_PATTERN)], ...],
        Field(max_length=16),
        ListSet(),
    ] = ()
    """What quantization_config may say, each as method or method:scheme in lower case. The method is quant_method: awq,
    compressed-tensors, modelopt. The scheme tells apart what methods of several formats store: fp8, fp8-block, mxfp8,
    nvfp4, mxfp4, w4a16, w8a16, w8a8 (integers) and w4afp8. A method alone stands for all its schemes. Empty: there is
    no quantization_config, since the weights are not quantized."""


class QuantizationFormatSpec(StrictModel):
    """What the format is."""

    target: FormatTarget = FormatTarget.WEIGHTS
    """What is stored so: Weights, for variants' quantization, or KVCache, for pools' engine.kvCache.format. The name of
    a format of the KV cache begins with kv-, which pools leave out: format fp8 is the QuantizationFormat kv-fp8."""
    bits: DecimalString
    """Effective bits of one quantized weight, key or value, with its share of scales and zero points, as a decimal in
    quotes from 1 to 32: "16", "8", "4.156"."""
    compute_bits: Literal[4, 8, 16] = 16
    """Bits of the matrix arithmetic where the format is native. 16 for weight-only formats such as AWQ."""
    unquantized: Annotated[tuple[ModelPart, ...], Field(max_length=8), ListSet()] = (
        ModelPart.EMBEDDINGS,
        ModelPart.OUTPUT_MATRIX,
    )
    """Parts of the model that stay at 16 bits. Formats that quantize only the experts of a mixture of experts, as MXFP4
    does, list all four."""
    checkpoint: Checkpoint | None = None
    """How to tell checkpoints in the format from others. A pool that puts a checkpoint in another format into a variant
    of this one is refused. Unset: nobody checks that."""
    engines: Annotated[tuple[QuantizationEngine, ...], Field(min_length=1, max_length=8), ListMap("type")]
    """The engines that run the format, and from which GPU on. An engine that is not listed does not run it."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule=f"!self.bits.matches(r'{DECIMAL_PATTERN}') || (double(self.bits) >= 1.0 && double(self.bits) <= 32.0)",
            message="bits must be from 1 to 32",
            holds=lambda spec: Decimal(1) <= spec.bits <= Decimal(32),
        ),
        CelRule(
            rule="self.target == 'Weights' || (self.computeBits == 16 && !has(self.checkpoint))",
            message="computeBits and checkpoint are about weights: leave them out where target is KVCache",
            holds=lambda spec: (
                spec.target is FormatTarget.WEIGHTS or (spec.compute_bits == _FULL_BITS and spec.checkpoint is None)
            ),
        ),
    )

    @property
    def bits_per_weight(self) -> Decimal:
        """Effective bits of one quantized weight."""
        return self.bits


_FULL_BITS = 16


class QuantizationFormat(StrictModel):
    """A way to store a model's weights or its KV cache: how many bits that takes, which engines run it, on which GPUs.

    Variants of pools name it in `quantization`, pools in `engine.kvCache.format`. It is data: to add a format, apply
    another object.
    """

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["QuantizationFormat"] = "QuantizationFormat"
    metadata: ObjectMeta
    spec: QuantizationFormatSpec
    """What the format is."""
    status: QuantizationFormatStatus | None = None

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        NAME_IS_A_LABEL,
        CelRule(
            rule=f"(self.spec.target == 'KVCache') == self.metadata.name.startsWith('{KV_CACHE_PREFIX}')",
            message=f"metadata.name must begin with {KV_CACHE_PREFIX} where target is KVCache, and only there",
            holds=lambda entry: (
                (entry.spec.target is FormatTarget.KV_CACHE) == entry.metadata.name.startswith(KV_CACHE_PREFIX)
            ),
        ),
    )
