from __future__ import annotations

import itertools
import math

import pytest

from mixserve.api.engine import Batching, Engine
from mixserve.plan.memory import memory_plan
from mixserve.plan.prediction import Workload, predict
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


def simulated(facts, place, *, engine, workload, warm_steps=2000, steps=4000):
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
