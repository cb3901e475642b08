"""How many parameters a decoder has, by part.

Per layer: attention (q and o, k and v; or the projections of multi-head latent attention), an MLP of three matrices
(gate, up, down; two where there is no gate) or a router with its experts, two norms. Outside of the layers: the
embeddings, the output matrix unless it is the same, and a norm. Biases, further norms and the numbers that a router
balances its load with are left out: below 0.1 % in every model of the test corpus. So are the layers that predict more
than one token (num_nextn_predict_layers), which engines do not load unless they are asked to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.plan.config_keys import DecoderKeys, ExpertKeys, LatentKeys, ShuffledVisionKeys, VisionKeys

if TYPE_CHECKING:
    from mixserve.plan.families import Family


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers of parameters.

    Attributes:
        embeddings: of the input, and of the output where that is another matrix.
        attention: of all layers.
        experts: routed ones of all layers.
        idle_experts: those of them that a token does not use.
        others: MLPs, shared experts, routers and norms.
    """

    embeddings: int
    attention: int
    experts: int
    idle_experts: int
    others: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.embeddings + self.attention + self.experts + self.others


def count_parameters(keys: DecoderKeys, family: Family, *, head_size: int, key_value_heads: int) -> Parameters:
    """Count what `keys` describe."""
    hidden, layers = keys.hidden_size, keys.num_hidden_layers
    routed = expert_layers(keys) if isinstance(keys, ExpertKeys) else 0
    mlp = family.matrices * hidden * keys.intermediate_size
    experts, idle, beside = _experts(keys, family.matrices) if isinstance(keys, ExpertKeys) else (0, 0, 0)
    return Parameters(
        embeddings=keys.vocab_size * hidden * (1 if keys.tie_word_embeddings else 2),
        attention=layers * _attention(keys, head_size=head_size, key_value_heads=key_value_heads),
        experts=routed * experts,
        idle_experts=routed * idle,
        others=(layers - routed) * mlp + routed * beside + (2 * layers + 1) * hidden,
    )


def expert_layers(keys: ExpertKeys) -> int:
    """Layers that have experts; the others have a plain MLP."""
    if keys.moe_layers is not None:
        return len(set(keys.moe_layers) & set(range(keys.num_hidden_layers)))
    return sum(
        layer >= keys.first_k_dense_replace
        and layer % keys.moe_layer_freq == 0
        and (layer + 1) % keys.decoder_sparse_step == 0
        and (layer + 1) % keys.interleave_moe_layer_step == 0
        and layer not in keys.mlp_only_layers
        for layer in range(keys.num_hidden_layers)
    )


def _attention(keys: DecoderKeys, *, head_size: int, key_value_heads: int) -> int:
    """One layer's projections."""
    hidden, heads = keys.hidden_size, keys.num_attention_heads
    if not isinstance(keys, LatentKeys):
        return 2 * hidden * head_size * (heads + key_value_heads)
    rank = keys.q_lora_rank
    queries = hidden * heads * head_size if rank is None else rank * (hidden + heads * head_size)
    down = hidden * (keys.kv_lora_rank + keys.qk_rope_head_dim)
    up = keys.kv_lora_rank * heads * (keys.qk_nope_head_dim + keys.v_head_dim)
    return queries + down + up + heads * keys.v_head_dim * hidden


def _experts(keys: ExpertKeys, matrices: int) -> tuple[int, int, int]:
    """One layer's routed experts, those of them that a token leaves out, and what is beside them."""
    hidden = keys.hidden_size
    expert = matrices * hidden * keys.moe_intermediate_size
    idle = max(0, keys.num_experts - keys.num_experts_per_tok)
    shared = keys.n_shared_experts * expert + matrices * hidden * keys.shared_expert_intermediate_size
    return keys.num_experts * expert, idle * expert, shared + hidden * keys.num_experts


def count_vision(keys: VisionKeys, hidden_size: int) -> int:
    """Parameters of what sees: patches and their positions, plain layers, and the projection into the language model.

    Args:
        keys: the vision transformer.
        hidden_size: of the language model.
    """
    width = keys.hidden_size
    patches = (keys.image_size // keys.patch_size) ** 2
    embeddings = width * (keys.num_channels * keys.patch_size**2 + patches)
    layer = 4 * width**2 + 2 * width * keys.intermediate_size
    return embeddings + keys.num_hidden_layers * layer + _projection(keys, hidden_size)


def _projection(keys: VisionKeys, hidden_size: int) -> int:
    """What turns patches into what the language model reads."""
    if not isinstance(keys, ShuffledVisionKeys):
        return keys.hidden_size * hidden_size
    mlp = keys.intermediate_size * keys.projector_input_dim + keys.projector_output_dim**2
    return mlp + keys.vision_output_dim * hidden_size
