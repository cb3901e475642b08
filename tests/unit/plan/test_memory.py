import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.engine import Batching, Engine, EngineType, KVCache
from mixserve.api.model_facts import ModelFacts, SlidingWindow
from mixserve.api.scalars import GIB
from mixserve.catalog.built_in import built_in_catalog
from mixserve.engines.registry import adapter_for
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.memory import (
    MEAN_CONTEXT_TOKENS,
    OVERHEAD_BYTES_PER_GPU,
    batch_prior,
    memory_plan,
    memory_plan_if_known,
)
from mixserve.plan.placement import Placement
from mixserve.simulate.memory import kv_budget
from mixserve.simulate.settings import EngineSettings, HardwareFacts, ModelFactsForSimulation
from support.manifests import LLAMA_8B, LLAMA_70B, accelerator_like, placement

BLOCK_TOKENS = adapter_for(EngineType.VLLM).kv_block_tokens
FOR_32K = Engine(max_model_len=32768)
GPUS = {
    "l4": "l4",
    "a100": "a100-80gb",
    "h100": "h100-80gb",
}
DEEPSEEK_LITE = ModelFacts(
    parameters=15_706_470_400,
    layers=27,
    hidden_size=2048,
    attention_heads=16,
    key_value_heads=16,
    head_size=192,
    vocabulary_size=102400,
    max_position_embeddings=163840,
    active_parameters=2_662_400_000,
    expert_parameters=14_394_851_328,
    attention_parameters=378_000_000,
    latent_size=576,
)
# Every other layer of a model like Llama-3.1-8B sees 1024 tokens.
WINDOWED = LLAMA_8B.model_copy(update={"sliding_window": SlidingWindow(tokens=1024, layers=16)})


def planned(facts, place, *, engine=FOR_32K):
    return memory_plan(facts, engine=engine, placement=place)


def test_the_plan_adds_up():
    plan = planned(LLAMA_8B, placement("fp8", "l4", 2))

    assert plan.memory_bytes == 2 * (22 * GIB * 92 // 100)
    assert plan.overhead_bytes == 2 * OVERHEAD_BYTES_PER_GPU
    assert plan.kv_budget_bytes == plan.memory_bytes - plan.weights_bytes - plan.overhead_bytes
    assert plan.kv_capacity_tokens == plan.kv_budget_bytes // plan.kv_bytes_per_token // BLOCK_TOKENS * BLOCK_TOKENS
    assert plan.fits


def test_the_cache_has_the_blocks_of_the_engine():
    engine = Engine(type=EngineType.TENSORRT_LLM, version="1.2.1", max_model_len=32768)
    plan = planned(LLAMA_8B, placement("bf16", "h100-80gb", 1), engine=engine)

    assert plan.kv_block_tokens == adapter_for(EngineType.TENSORRT_LLM).kv_block_tokens != BLOCK_TOKENS
    assert plan.kv_capacity_tokens % plan.kv_block_tokens == 0


def test_latent_attention_needs_more_beside_weights_and_kv_cache():
    plan = planned(DEEPSEEK_LITE, placement("bf16", "h100-80gb", 2))

    assert plan.overhead_bytes == 2 * 5 * GIB


def test_experts_that_a_token_leaves_out_are_neither_read_nor_computed():
    plan = planned(DEEPSEEK_LITE, placement("bf16", "h100-80gb"))

    assert plan.active_parameters == DEEPSEEK_LITE.active_parameters
    assert plan.active_weights_bytes == 2 * plan.active_parameters
    assert plan.weights_bytes == 2 * plan.parameters
    assert json.loads(plan.to_annotation())["activeParameters"] == plan.active_parameters


def test_a_format_of_the_kv_cache_halves_it():
    place = placement("fp8", "l4")
    half = replace(place, kv_cache=built_in_catalog().formats["kv-fp8"].spec)

    assert planned(LLAMA_8B, place).kv_bytes_per_token == 128 * 1024
    assert planned(LLAMA_8B, half).kv_bytes_per_token == 64 * 1024


def test_windows_let_longer_requests_fit():
    plan, full = (planned(facts, placement("fp8", "l4")) for facts in (WINDOWED, LLAMA_8B))

    assert plan.kv_budget_bytes == full.kv_budget_bytes
    assert plan.kv_capacity_tokens > full.kv_capacity_tokens
    assert plan.concurrency(16384) > 1.8 * full.concurrency(16384)
    assert plan.concurrency(512) == full.concurrency(512)


def test_a_window_holds_the_tokens_of_two_steps_beside():
    narrow = Engine(max_model_len=32768, batching=Batching(max_batched_tokens=512))
    plan = planned(WINDOWED, placement("fp8", "l4"), engine=narrow)

    assert plan.kv.reserved_tokens == 1023 + 2 * 512
    assert plan.kv_capacity_tokens > planned(WINDOWED, placement("fp8", "l4")).kv_capacity_tokens


def test_the_annotation_has_the_mean_of_the_longest_request():
    plan = planned(WINDOWED, placement("fp8", "l4"))

    assert json.loads(plan.to_annotation())["kvBytesPerToken"] == 64 * 1024 * (32768 + 1024) / 32768


@pytest.mark.parametrize(("context", "fits"), [(32768, True), (131072, False)])
def test_what_starts_holds_one_request_of_the_longest_context(context, fits):
    plan = planned(LLAMA_8B, placement("fp8", "l4"), engine=Engine(max_model_len=context))

    assert plan.fits is fits
    assert (plan.max_concurrency >= 1) is fits
    assert plan.max_concurrency == plan.concurrency(context)


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
