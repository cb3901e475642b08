from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.model_facts import SlidingWindow
from mixserve.plan.kv_memory import ENDLESS_TOKENS, KVMemory, kv_memory
from support.manifests import LLAMA_8B

LATENT = LLAMA_8B.model_copy(update={"latent_size": 576})
WINDOWED = LLAMA_8B.model_copy(update={"sliding_window": SlidingWindow(tokens=1024, layers=24)})
PER_HEAD = 2 * 32 * 128 * 2


def memory(facts, *, bits="16", gpus=1, step_tokens=0):
    return kv_memory(facts, bits=Decimal(bits), tensor_parallel=gpus, step_tokens=step_tokens)


@pytest.mark.parametrize(
    ("gpus", "heads"),
    [(1, 8), (2, 8), (8, 8), (16, 16)],  # beyond 8 GPUs each of the 8 heads is kept twice
)
def test_key_value_heads_are_shared_out_and_copied_where_there_are_too_few(gpus, heads):
    assert memory(LLAMA_8B, gpus=gpus).bytes_per_token == heads * PER_HEAD


@pytest.mark.parametrize(("bits", "kib"), [("16", 128), ("8", 64), ("4.5", 36)])
def test_bits_decide(bits, kib):
    assert memory(LLAMA_8B, bits=bits).bytes_per_token == kib * 1024


@pytest.mark.parametrize("gpus", [1, 4])
def test_latent_attention_keeps_one_vector_per_layer_on_every_gpu(gpus):
    assert memory(LATENT, gpus=gpus).bytes_per_token == 32 * 576 * 2 * gpus


def test_layers_with_a_window_stop_at_it():
    found = memory(WINDOWED)
    layer = 2 * 8 * 128 * 2

    assert found.held(1000) == 32 * layer * 1000
    assert found.held(10_000) == 8 * layer * 10_000 + 24 * layer * 1024
    assert found.reserved(10_000) == found.held(10_000)


def test_an_engine_reserves_the_tokens_of_two_steps_beside_the_window():
    found = memory(WINDOWED, step_tokens=2048)

    assert found.reserved_tokens == 1023 + 2 * 2048
    assert found.reserved(1000) == found.held(1000)
    assert found.reserved(10_000) > found.held(10_000)


def test_a_model_of_windows_alone_takes_any_length_once_it_fits():
    found = KVMemory(full_bytes=0, window_bytes=100, window_tokens=10, reserved_tokens=20)

    assert found.longest(1999) == 19
    assert found.longest(2000) == ENDLESS_TOKENS


def test_what_is_left_once_the_windows_are_full_goes_to_the_other_layers():
    found = KVMemory(full_bytes=1, window_bytes=134, window_tokens=1, reserved_tokens=2)

    assert found.longest(324) == 324 - 2 * 134


BYTES, TOKENS = st.integers(1, 10**6), st.integers(1, 10**6)


@given(BYTES, st.integers(0, 10**6), TOKENS, TOKENS, st.integers(0, 10**12))
def test_the_longest_request_fits_and_a_longer_one_does_not(full, window_bytes, window, beside, budget):
    found = KVMemory(full_bytes=full, window_bytes=window_bytes, window_tokens=window, reserved_tokens=window + beside)
    longest = found.longest(budget)

    assert found.reserved(longest) <= budget < found.reserved(longest + 1)
