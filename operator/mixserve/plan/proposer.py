"""What proposing tokens takes of the GPUs: memory for good, and work in each of its steps.

draft model, EAGLE-3 head   its own weights, and keys and values of its own layers
MTP                         layers of the model's kind, their keys and values, and the model's output matrix again
n-gram, suffix              nothing: they look up tokens on the CPU
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.model_facts import ModelFacts
from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.plan.kv_memory import kv_memory
from mixserve.plan.mtp import mtp_layers
from mixserve.plan.weights import UNQUANTIZED_BYTES, unquantized_bytes, weights_bytes

if TYPE_CHECKING:
    from mixserve.api.quantization import QuantizationFormatSpec
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation


@dataclass(frozen=True, kw_only=True)
class Proposer:
    """Over all GPUs of a replica together; all 0 for what works on the CPU.

    Attributes:
        memory_bytes: weights that are there because of it.
        kv_bytes_per_token: its keys and values of a token.
        parameters: those that proposing one token uses.
        read_bytes: weights that proposing one token for each request reads.
    """

    memory_bytes: int = 0
    kv_bytes_per_token: int = 0
    parameters: int = 0
    read_bytes: int = 0

    @property
    def is_on_gpu(self) -> bool:
        """Whether it takes time of the GPUs."""
        return self.parameters > 0


def proposer_of(speculation: Speculation, facts: ModelFacts, *, placement: Placement) -> Proposer | None:
    """What a variant's proposer takes; None where its numbers are not known.

    Args:
        speculation: what proposes tokens.
        facts: the model.
        placement: of the variant; the draft's numbers in the KV cache have the model's bits.
    """
    match speculation.spec.method:
        case SpeculationMethod.NGRAM | SpeculationMethod.SUFFIX:
            return Proposer()
        case SpeculationMethod.MTP:
            layers = None if speculation.target is None else mtp_layers(speculation.target)
            # There are some, or a check says so; one is usual.
            return _mtp(facts, max(1, layers or 1), placement)
        case _:
            draft = speculation.draft_facts
            if not isinstance(draft, ModelFacts):
                return None
            return _draft(draft, speculation.draft_format, placement)


def _draft(facts: ModelFacts, weights: QuantizationFormatSpec | None, placement: Placement) -> Proposer:
    stored = unquantized_bytes(facts) if weights is None else weights_bytes(facts, weights)
    kv = kv_memory(facts, bits=placement.kv_bits, tensor_parallel=placement.tensor_parallel)
    return Proposer(
        memory_bytes=stored,
        kv_bytes_per_token=kv.bytes_per_token,
        parameters=facts.parameters_per_token,
        read_bytes=max(1, stored * facts.parameters_per_token // facts.parameters),
    )


def _mtp(facts: ModelFacts, layers: int, placement: Placement) -> Proposer:
    """As many more layers as the mean of the model's, each with a projection of two hidden vectors to one.

    A checkpoint that says its size has counted them already (DeepSeek-V3: 685 of 671 billion parameters).
    """
    stored = weights_bytes(facts, placement.weights)
    is_counted = stored == facts.checkpoint_bytes
    projection = 2 * facts.hidden_size**2
    layer = (facts.parameters - facts.embedding_parameters) // facts.layers
    used = max(1, facts.parameters_per_token - facts.embedding_parameters) // facts.layers
    output = facts.vocabulary_size * facts.hidden_size
    bytes_per_parameter = stored / facts.parameters
    own = facts.model_copy(update={"layers": layers, "sliding_window": None})
    kv = kv_memory(own, bits=placement.kv_bits, tensor_parallel=placement.tensor_parallel)
    return Proposer(
        memory_bytes=0 if is_counted else int(layers * (layer + projection) * bytes_per_parameter),
        kv_bytes_per_token=kv.bytes_per_token,
        parameters=used + projection + output,
        read_bytes=int((used + projection) * bytes_per_parameter) + output * UNQUANTIZED_BYTES,
    )
