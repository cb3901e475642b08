import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.engine import Batching, Engine, EngineType, KVCache, KVCacheFormat
from mixserve.api.pool import ModelFacts
from mixserve.api.scalars import GIB
from mixserve.engines.registry import adapter_for
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.memory import (
    MEAN_CONTEXT_TOKENS,
    OVERHEAD_BYTES_PER_GPU,
    batch_prior,
    kv_bytes_per_token,
    memory_plan,
    memory_plan_if_known,
    weights_bytes,
)
from mixserve.plan.placement import Placement
from mixserve.simulate.memory import kv_budget
from mixserve.simulate.settings import EngineSettings, HardwareFacts, ModelFactsForSimulation
from support.manifests import LLAMA_8B, LLAMA_70B, QWEN_32B, accelerator_like, placement

BLOCK_TOKENS = adapter_for(EngineType.VLLM).kv_block_tokens
FOR_32K = Engine(max_model_len=32768)
GPUS = {
    "l4": "l4",
    "a100": "a100-80gb",
    "h100": "h100-80gb",
}


def planned(facts, place, *, engine=FOR_32K):
    return memory_plan(facts, engine=engine, placement=place)


def smallest_group(facts, quantization, accelerator):
    sizes = (size for size in (1, 2, 4, 8) if planned(facts, placement(quantization, accelerator, size)).fits)
    return next(sizes, None)


# Worked out by hand: GiB of weights, and the smallest power of two of GPUs that holds them with 32k tokens of 16-bit
# keys and values at 92 % utilization.
@pytest.mark.parametrize(
    ("facts", "quantization", "weights_gib", "groups"),
    [
        (LLAMA_8B, "fp8", 8.5, {"l4": 1, "a100": 1, "h100": 1}),
        (LLAMA_8B, "int4-awq", 5.3, {"l4": 1, "a100": 1, "h100": 1}),
        (QWEN_32B, "fp8", 32.0, {"l4": 4, "a100": 1, "h100": 1}),
        (QWEN_32B, "int4-awq", 18.0, {"l4": 2, "a100": 1, "h100": 1}),
        (LLAMA_70B, "fp8", 67.7, {"l4": 8, "a100": 2, "h100": 2}),
        (LLAMA_70B, "int4-awq", 37.0, {"l4": 4, "a100": 1, "h100": 1}),
        (LLAMA_70B, "bf16", 131.4, {"l4": 8, "a100": 4, "h100": 4}),
    ],
)
def test_models_fit_where_they_are_known_to(facts, quantization, weights_gib, groups):
    assert weights_bytes(facts, placement(quantization)) / GIB == pytest.approx(weights_gib, rel=0.01)
    assert {gpu: smallest_group(facts, quantization, GPUS[gpu]) for gpu in groups} == groups


def test_embeddings_are_not_quantized():
    # 4096 x 128256 embeddings, twice; the rest at 4.156 bits.
    embeddings = 2 * 4096 * 128256
    quantized = (LLAMA_8B.parameters - embeddings) * 4.156 / 8

    assert weights_bytes(LLAMA_8B, placement("int4-awq")) == pytest.approx(quantized + 2 * embeddings)


def test_tied_embeddings_are_stored_once():
    tied = LLAMA_8B.model_copy(update={"tied_embeddings": True})

    # At equal parameters half as many stay at 16 bits, and FP8 takes one byte less for each of the others.
    assert weights_bytes(LLAMA_8B, placement("fp8")) - weights_bytes(tied, placement("fp8")) == 4096 * 128256


@pytest.mark.parametrize(
    ("tensor_parallel", "heads"),
    [(1, 8), (2, 8), (8, 8), (16, 16)],  # beyond 8 GPUs each of the 8 heads is kept twice
)
def test_key_value_heads_are_shared_out_and_copied_where_there_are_too_few(tensor_parallel, heads):
    per_head = 2 * LLAMA_8B.layers * LLAMA_8B.head_size * 2

    assert (
        kv_bytes_per_token(LLAMA_8B, kv_format=KVCacheFormat.AUTO, tensor_parallel=tensor_parallel) == heads * per_head
    )


def test_llama_8b_needs_128_kib_per_token_and_half_of_it_in_fp8():
    assert kv_bytes_per_token(LLAMA_8B, kv_format=KVCacheFormat.AUTO, tensor_parallel=1) == 128 * 1024
    assert kv_bytes_per_token(LLAMA_8B, kv_format=KVCacheFormat.FP8, tensor_parallel=1) == 64 * 1024


def test_the_plan_adds_up():
    plan = planned(LLAMA_8B, placement("fp8", "l4", 2))

    assert plan.memory_bytes == 2 * (22 * GIB * 92 // 100)
    assert plan.overhead_bytes == 2 * OVERHEAD_BYTES_PER_GPU
    assert plan.kv_budget_bytes == plan.memory_bytes - plan.weights_bytes - plan.overhead_bytes
    assert plan.kv_capacity_tokens == plan.kv_budget_bytes // plan.kv_bytes_per_token // BLOCK_TOKENS * BLOCK_TOKENS
    assert plan.fits


def test_without_a_limit_the_models_own_context_has_to_fit():
    plan = planned(LLAMA_8B, placement("fp8", "l4"), engine=Engine())

    assert plan.context_tokens == 131072
    assert not plan.fits
    assert planned(LLAMA_8B, placement("fp8", "l4"), engine=Engine(max_model_len=plan.kv_capacity_tokens)).fits
    assert not planned(LLAMA_8B, placement("fp8", "l4"), engine=Engine(max_model_len=plan.kv_capacity_tokens + 1)).fits


def test_weights_that_do_not_fit_leave_no_tokens():
    plan = planned(LLAMA_70B, placement("bf16", "l4"))

    assert plan.kv_budget_bytes < 0
    assert plan.kv_capacity_tokens == 0
    assert not plan.fits


def test_the_sentence_has_the_sum():
    plan = planned(LLAMA_8B, placement("fp8", "l4"))

    assert plan.sentence == (
        "8.5 GiB of weights and 2.5 GiB of overhead on 1 GPU with 20.2 GiB for the engine leave 9.3 GiB for the "
        f"KV cache: {plan.kv_capacity_tokens} tokens, and one request may have 32768"
    )
    assert planned(LLAMA_70B, placement("bf16", "l4")).sentence == (
        "131.4 GiB of weights and 2.5 GiB of overhead on 1 GPU with 20.2 GiB for the engine are 113.7 GiB too much, "
        "before any KV cache"
    )
    assert "on 2 GPUs" in planned(LLAMA_8B, placement("fp8", "l4", 2)).sentence


@pytest.mark.parametrize(
    ("quantization", "accelerator", "bits"),
    [
        ("fp8", "h100-80gb", 8),
        ("fp8", "l4", 8),
        ("fp8", "a100-80gb", 16),  # no FP8 units: weights are widened
        ("int4-awq", "h100-80gb", 16),
        ("bf16", "h100-80gb", 16),
    ],
)
def test_arithmetic_is_in_the_format_only_where_the_gpu_has_it(quantization, accelerator, bits):
    assert planned(LLAMA_8B, placement(quantization, accelerator)).compute_bits == bits


def test_the_annotation_has_what_an_engine_can_not_know():
    plan = planned(LLAMA_8B, placement("fp8", "h100-80gb", 2))

    assert json.loads(plan.to_annotation()) == {
        "parameters": LLAMA_8B.parameters,
        "activeParameters": LLAMA_8B.parameters,
        "weightsBytes": plan.weights_bytes,
        "kvBytesPerToken": 131072,
        "tensorParallel": 2,
        "computeBits": 8,
        "maxModelLen": 32768,
    }
    assert plan.to_annotation() == planned(LLAMA_8B, placement("fp8", "h100-80gb", 2)).to_annotation()


FACTS = st.builds(
    lambda layers, width, kv_heads, groups, head_size, vocabulary, others: ModelFacts(
        parameters=2 * width * vocabulary + others,
        layers=layers,
        hidden_size=width,
        attention_heads=kv_heads * groups,
        key_value_heads=kv_heads,
        head_size=head_size,
        vocabulary_size=vocabulary,
        max_position_embeddings=8192,
    ),
    layers=st.integers(1, 120),
    width=st.integers(64, 16384),
    kv_heads=st.sampled_from([1, 2, 4, 8, 16]),
    groups=st.integers(1, 8),
    head_size=st.sampled_from([64, 128]),
    vocabulary=st.integers(100, 200_000),
    others=st.integers(10**8, 10**12),
)
FORMATS = st.sampled_from(["bf16", "fp8", "int4-awq"])
ACCELERATORS = st.sampled_from(sorted(GPUS.values()))
GROUPS = st.sampled_from([1, 2, 4, 8, 16, 32])


@given(FACTS, FORMATS, ACCELERATORS, GROUPS)
def test_more_gpus_never_leave_less_for_keys_and_values(facts, quantization, accelerator, gpus):
    few = planned(facts, placement(quantization, accelerator, gpus))
    many = planned(facts, placement(quantization, accelerator, 2 * gpus))

    assert many.kv_budget_bytes >= few.kv_budget_bytes
    assert many.kv_capacity_tokens >= few.kv_capacity_tokens
    assert many.fits >= few.fits


@given(FACTS, ACCELERATORS, GROUPS, st.integers(10, 98))
def test_fewer_bits_and_more_utilization_never_leave_less(facts, accelerator, gpus, percent):
    engine, more = (Engine(kv_cache=KVCache(memory_utilization_percent=share)) for share in (percent, percent + 1))
    wide, narrow = (placement(quantization, accelerator, gpus) for quantization in ("fp8", "int4-awq"))

    assert planned(facts, narrow, engine=engine).kv_budget_bytes >= planned(facts, wide, engine=engine).kv_budget_bytes
    assert planned(facts, wide, engine=more).kv_budget_bytes >= planned(facts, wide, engine=engine).kv_budget_bytes


@given(FACTS, FORMATS, ACCELERATORS, GROUPS)
def test_the_simulated_engine_has_the_planned_number_of_blocks(facts, quantization, accelerator, gpus):
    place = placement(quantization, accelerator, gpus)
    plan = planned(facts, place)
    if not plan.fits:
        return
    settings = EngineSettings(
        hardware=HardwareFacts(
            memory_bytes=place.accelerator.memory, memory_bandwidth_bytes_per_s=1.0, flops=1.0, gpus=gpus
        ),
        model=ModelFactsForSimulation(
            parameters=plan.parameters,
            active_parameters=plan.parameters,
            weights_bytes=plan.weights_bytes,
            kv_bytes_per_token=plan.kv_bytes_per_token,
        ),
        max_model_len=128,
    )

    # One block may be lost to the rounding of bytes.
    assert kv_budget(settings).blocks == pytest.approx(plan.kv_capacity_tokens // BLOCK_TOKENS, abs=1)


class TestPrior:
    def test_is_what_the_kv_cache_holds_of_usual_requests(self):
        plan = planned(LLAMA_8B, placement("fp8", "l4"))

        prior = batch_prior(FOR_32K, placement=placement("fp8", "l4"), plan=plan)

        assert prior == plan.kv_capacity_tokens / MEAN_CONTEXT_TOKENS
        assert 40 < prior < 80

    def test_is_the_batch_limit_where_that_is_less(self):
        engine = Engine(max_model_len=32768, batching=Batching(max_sequences=4))

        assert (
            batch_prior(
                engine, placement=placement("fp8", "l4"), plan=planned(LLAMA_8B, placement("fp8", "l4"), engine=engine)
            )
            == 4
        )

    def test_counts_no_more_context_than_a_request_may_have(self):
        engine = Engine(max_model_len=140, batching=Batching(max_sequences=65536))
        plan = planned(LLAMA_8B, placement("fp8", "l4"), engine=engine)

        assert batch_prior(engine, placement=placement("fp8", "l4"), plan=plan) == plan.kv_capacity_tokens / 140

    @pytest.mark.parametrize(("accelerator", "limit"), [("l4", 256), ("a100-80gb", 256), ("h100-80gb", 1024)])
    def test_is_the_engines_own_batch_limit_while_the_model_is_unknown(self, accelerator, limit):
        assert batch_prior(Engine(), placement=placement("fp8", accelerator), plan=None) == limit

    def test_is_never_less_than_one_request(self):
        plan = planned(LLAMA_70B, placement("bf16", "l4"))

        assert batch_prior(FOR_32K, placement=placement("bf16", "l4"), plan=plan) == 1


def test_a_gpu_of_ones_own_is_planned_with_its_memory():
    large = accelerator_like("h999", memory="999Gi").spec
    place = placement("bf16")
    on_large = Placement(weights=place.weights, row=place.row, accelerator=large, tensor_parallel=1)

    assert planned(LLAMA_70B, on_large).fits


@pytest.mark.parametrize("facts", [None, UnknownFacts("nobody knows"), InvalidFacts(("wrong",))])
def test_a_model_without_numbers_has_no_plan(facts):
    assert memory_plan_if_known(facts, engine=FOR_32K, placement=placement()) is None


def test_a_model_with_numbers_has_one():
    plan = memory_plan_if_known(LLAMA_8B, engine=FOR_32K, placement=placement())

    assert plan == planned(LLAMA_8B, placement())
