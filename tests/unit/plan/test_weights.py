import pytest

from mixserve.api.quantization import ModelPart
from mixserve.plan.weights import active_weights_bytes, weights_bytes
from support.manifests import LLAMA_8B, format_like

MATRIX = 4096 * 128256
EXPERTS = 4_000_000_000
MIXTURE = LLAMA_8B.model_copy(
    update={"expert_parameters": EXPERTS, "active_parameters": LLAMA_8B.parameters - 3 * 10**9}
)


def four_bits(*unquantized):
    return format_like("x", bits="4", unquantized=[part.value for part in unquantized]).spec


@pytest.mark.parametrize(
    ("unquantized", "parameters"),
    [
        ((), 0),
        ((ModelPart.EMBEDDINGS,), MATRIX),
        ((ModelPart.EMBEDDINGS, ModelPart.OUTPUT_MATRIX), 2 * MATRIX),
        # Queries and outputs of 32 heads, keys and values of 8.
        ((ModelPart.ATTENTION,), 32 * 2 * 4096 * 128 * (32 + 8)),
        ((ModelPart.ROUTER,), 0),
    ],
)
def test_what_is_not_quantized_takes_16_bits(unquantized, parameters):
    stored = weights_bytes(LLAMA_8B, four_bits(*unquantized))

    assert stored == (LLAMA_8B.parameters - parameters) / 2 + parameters * 2


def test_tied_embeddings_are_stored_once():
    tied = LLAMA_8B.model_copy(update={"tied_embeddings": True})
    both = four_bits(ModelPart.EMBEDDINGS, ModelPart.OUTPUT_MATRIX)

    assert weights_bytes(tied, both) == (LLAMA_8B.parameters - MATRIX) / 2 + MATRIX * 2


def test_attention_of_another_kind_is_counted_as_it_is_given():
    facts = LLAMA_8B.model_copy(update={"attention_parameters": 1_000_000})

    assert weights_bytes(facts, four_bits(ModelPart.ATTENTION)) == (facts.parameters - 10**6) / 2 + 2 * 10**6


def test_what_sees_is_never_quantized_and_not_read_for_text():
    seeing = LLAMA_8B.model_copy(update={"vision_parameters": 10**9, "active_parameters": LLAMA_8B.parameters - 10**9})

    assert weights_bytes(seeing, four_bits()) == (LLAMA_8B.parameters - 10**9) / 2 + 2 * 10**9
    assert active_weights_bytes(seeing, four_bits()) == (LLAMA_8B.parameters - 10**9) / 2


def test_a_token_reads_the_experts_that_it_uses():
    embeddings = four_bits(ModelPart.EMBEDDINGS, ModelPart.OUTPUT_MATRIX)

    assert weights_bytes(MIXTURE, embeddings) - active_weights_bytes(MIXTURE, embeddings) == 3 * 10**9 / 2
    assert active_weights_bytes(LLAMA_8B, embeddings) == weights_bytes(LLAMA_8B, embeddings)


def test_fewer_active_parameters_than_stay_unquantized_are_no_less_than_these():
    odd = MIXTURE.model_copy(update={"active_parameters": 1})

    assert active_weights_bytes(odd, four_bits(ModelPart.EMBEDDINGS)) == 2 * MATRIX


FULL = four_bits()
HALF = LLAMA_8B.parameters // 2


@pytest.mark.parametrize("told", [HALF, HALF * 1.1, HALF * 0.81, HALF * 1.19])
def test_a_checkpoint_of_about_the_computed_size_has_its_own(told):
    facts = LLAMA_8B.model_copy(update={"checkpoint_bytes": int(told)})

    assert weights_bytes(facts, FULL) == int(told)
    assert active_weights_bytes(facts, FULL) == int(told)


@pytest.mark.parametrize("told", [1, HALF * 0.79, HALF * 1.21, HALF * 4, 10**15])
def test_a_checkpoint_of_another_size_is_in_another_format(told):
    facts = LLAMA_8B.model_copy(update={"checkpoint_bytes": int(told)})

    assert weights_bytes(facts, FULL) == HALF


def test_idle_experts_are_taken_off_the_checkpoints_own_size():
    facts = MIXTURE.model_copy(update={"checkpoint_bytes": HALF + 1000})

    assert active_weights_bytes(facts, FULL) == HALF + 1000 - 3 * 10**9 / 2
