from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.engine import Batching, Engine, KVCache
from mixserve.api.model_facts import SlidingWindow
from mixserve.plan.memory import MEAN_CONTEXT_TOKENS, memory_plan
from mixserve.plan.prediction import Workload, predict
from mixserve.plan.roofline import STEP_OVERHEAD_S
from mixserve.simulate.engine import SimulatedEngineCore
from mixserve.simulate.requests import Request
from mixserve.simulate.settings import EngineSettings, HardwareFacts, ModelFactsForSimulation
from support.manifests import LLAMA_8B, LLAMA_70B, placement

ENGINE = Engine(max_model_len=16384)
CHAT = Workload()


def predicted(facts=LLAMA_8B, place=None, *, engine=ENGINE, workload=CHAT):
    place = place or placement()
    plan = memory_plan(facts, engine=engine, placement=place)
    return predict(plan, accelerator=place.accelerator, engine=engine, workload=workload)


def spread(mean):
    """Lengths like those of real answers (exponential), in an order that looks random and is always the same."""
    for number in itertools.count(1):
        # Multiples of the golden ratio, modulo 1, fill the interval evenly.
        yield max(1, round(-mean * math.log(number * 0.6180339887498949 % 1)))


def simulated(facts, place, *, engine, workload, warm_steps=1500, steps=3000):
    """Requests/s and seconds per output token of the simulated engine under a queue that never ends."""
    plan = memory_plan(facts, engine=engine, placement=place)
    core = SimulatedEngineCore(
        EngineSettings(
            hardware=HardwareFacts(
                memory_bytes=place.accelerator.memory,
                memory_bandwidth_bytes_per_s=place.accelerator.memory_bandwidth * 1e9,
                flops=place.accelerator.dense_teraflops.at(plan.compute_bits) * 1e12,
                gpus=place.tensor_parallel,
            ),
            model=ModelFactsForSimulation(
                parameters=plan.parameters,
                active_parameters=plan.parameters,
                weights_bytes=plan.weights_bytes,
                kv_bytes_per_token=plan.kv_bytes_per_token,
            ),
            max_model_len=plan.context_tokens,
            max_num_seqs=engine.batching.max_sequences,
            max_num_batched_tokens=engine.batching.max_batched_tokens,
            enable_prefix_caching=False,
        )
    )
    answers = spread(workload.answer_tokens)
    names, now_s, finished, began_s, tokens, waits = itertools.count(), 0.0, 0, 0.0, 0, 0.0
    for number in range(warm_steps + steps):
        while core.waiting + core.running < engine.batching.max_sequences + 8 and len(core._batching.waiting) < 8:
            core.submit(
                Request(
                    request_id=str(next(names)),
                    prompt_tokens=workload.prompt_tokens,
                    answer_tokens=next(answers),
                ),
                now_s,
            )
        if number == warm_steps:
            began_s, finished, tokens, waits = now_s, 0, 0, 0.0
        step = core.step(now_s)
        now_s = step.ended_at_s
        finished += len(step.finished)
        tokens, waits = tokens + len(step.inter_token_s), waits + sum(step.inter_token_s)
    return finished / (now_s - began_s), waits / tokens


@pytest.mark.parametrize(
    ("facts", "place", "batching", "workload"),
    [
        (LLAMA_8B, placement("fp8", "h100-80gb"), (64, 8192), CHAT),
        (LLAMA_8B, placement("fp8", "h100-80gb"), (256, 8192), CHAT),
        (LLAMA_8B, placement("int4-awq", "l4"), (32, 2048), CHAT),
        (LLAMA_8B, placement("fp8", "l4"), (256, 2048), CHAT),
        (LLAMA_8B, placement("bf16", "h100-80gb"), (128, 8192), Workload(prompt_tokens=8000, answer_tokens=100)),
        (LLAMA_8B, placement("bf16", "h100-80gb"), (64, 2048), Workload(prompt_tokens=100, answer_tokens=1000)),
        (LLAMA_70B, placement("fp8", "h100-80gb", 4), (128, 8192), CHAT),
    ],
)
def test_the_simulated_engine_does_under_a_long_queue_what_is_predicted(facts, place, batching, workload):
    engine = Engine(max_model_len=16384, batching=Batching(max_sequences=batching[0], max_batched_tokens=batching[1]))

    requests_per_s, tpot_s = simulated(facts, place, engine=engine, workload=workload)

    found = predicted(facts, place, engine=engine, workload=workload)
    assert found.requests_per_s == pytest.approx(requests_per_s, rel=0.05)
    assert found.tpot_s == pytest.approx(tpot_s, rel=0.05)


def test_the_usual_request_is_that_of_the_public_trace():
    assert (CHAT.prompt_tokens, CHAT.answer_tokens) == (1155, 211)
    assert pytest.approx(MEAN_CONTEXT_TOKENS, rel=0.03) == CHAT.tokens


def test_a_request_that_is_alone_reads_the_weights_for_each_token():
    plan = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement())

    moved_bytes = plan.weights_bytes + CHAT.tokens * plan.kv_bytes_per_token
    assert predicted().tpot_alone_s == pytest.approx(moved_bytes / (3350e9 * 0.7) + STEP_OVERHEAD_S)


def test_a_prompt_that_is_alone_is_arithmetic():
    arithmetic_s = 2 * LLAMA_8B.parameters * 1155 / (1979e12 * 0.5)

    assert predicted().ttft_alone_s == pytest.approx(arithmetic_s + STEP_OVERHEAD_S)


def test_a_format_without_units_for_it_computes_in_16_bits():
    native, fallback = predicted(place=placement("fp8", "l4")), predicted(place=placement("int4-awq", "l4"))

    assert fallback.ttft_alone_s == pytest.approx(2 * native.ttft_alone_s, rel=0.05)


def test_gpus_share_the_work():
    assert predicted(place=placement(tensor_parallel=2)).tpot_alone_s < predicted().tpot_alone_s


@pytest.mark.parametrize(
    ("batching", "workload", "batch"),
    [
        (Batching(max_sequences=8), CHAT, 8),
        # 16384 tokens of context, and what is left of an H100 holds 30 requests of them.
        (Batching(), Workload(prompt_tokens=16000, answer_tokens=384), 30),
        # A step of 128 tokens has room for the prompts of 8 requests while their answers come out.
        (Batching(max_sequences=64, max_batched_tokens=128), Workload(prompt_tokens=150, answer_tokens=10), 8),
        (Batching(max_sequences=64, max_batched_tokens=64), Workload(prompt_tokens=4000, answer_tokens=1), 1),
    ],
)
def test_the_batch_is_what_its_scarcest_limit_allows(batching, workload, batch):
    engine = Engine(max_model_len=16384, batching=batching, kv_cache=KVCache(memory_utilization_percent=92))

    assert predicted(engine=engine, workload=workload).batch == pytest.approx(batch, abs=2)


def test_a_prompt_longer_than_a_step_comes_in_chunks():
    long = Workload(prompt_tokens=8000, answer_tokens=10)
    whole = predicted(engine=Engine(max_model_len=16384, batching=Batching(max_batched_tokens=8192)), workload=long)
    chunked = predicted(engine=Engine(max_model_len=16384, batching=Batching(max_batched_tokens=2048)), workload=long)

    # Four chunks, each with a step's overhead.
    assert chunked.ttft_alone_s - whole.ttft_alone_s == pytest.approx(3 * STEP_OVERHEAD_S)


def test_raw_arguments_about_steps_leave_them_without_a_known_limit():
    engine = Engine(max_model_len=16384, args=("--performance-mode=throughput",))

    assert predicted(engine=engine).requests_per_s == pytest.approx(predicted().requests_per_s, rel=0.2)


def test_a_mixture_of_experts_is_quick_alone_and_reads_nearly_all_of_itself_for_a_batch():
    mixture = LLAMA_8B.model_copy(update={"active_parameters": 2_000_000_000, "expert_parameters": 6_500_000_000})
    dense, sparse = predicted(), predicted(mixture)

    assert sparse.tpot_alone_s < dense.tpot_alone_s / 1.5
    assert sparse.ttft_alone_s < dense.ttft_alone_s / 2
    assert sparse.batch == dense.batch


def test_layers_with_a_window_leave_room_for_more_requests():
    windows = SlidingWindow(tokens=512, layers=24)
    found = predicted(LLAMA_8B.model_copy(update={"sliding_window": windows}))

    assert found.batch > 1.5 * predicted().batch
    assert found.tpot_alone_s < predicted().tpot_alone_s


def test_what_does_not_fit_is_not_predicted():
    assert predicted(LLAMA_70B) is None


def test_a_request_longer_than_the_context_is_not_predicted():
    assert predicted(engine=Engine(max_model_len=1024)) is None


@given(prompt=st.integers(1, 15000), answer=st.integers(1, 1000), most=st.integers(1, 512))
def test_whatever_the_lengths_the_numbers_agree_with_each_other(prompt, answer, most):
    workload = Workload(prompt_tokens=prompt, answer_tokens=answer)
    engine = Engine(max_model_len=16384, batching=Batching(max_sequences=most, max_batched_tokens=8192))

    found = predicted(engine=engine, workload=workload)

    assert 1 <= found.batch <= most
    assert 0 < found.tpot_alone_s <= found.tpot_s * (1 + 1e-9)
    assert 0 < found.ttft_alone_s <= found.ttft_s * (1 + 1e-9)
    assert found.tokens_per_s == pytest.approx(found.requests_per_s * (prompt + answer))
    # Little's law: a request is in the batch for its steps.
    assert found.requests_per_s <= found.batch / found.tpot_s / answer * (1 + 1e-9)


@given(utilization=st.integers(30, 95))
def test_more_memory_never_serves_less(utilization):
    def engine(percent):
        return Engine(max_model_len=4096, kv_cache=KVCache(memory_utilization_percent=percent))

    less, more = (predicted(engine=engine(percent)).requests_per_s for percent in (utilization, utilization + 4))

    assert more >= less * (1 - 1e-9)
