from dataclasses import replace

import pytest

from mixserve.api.engine import Engine
from mixserve.api.model import Adapter
from mixserve.plan.adapter_memory import AdapterSlots, adapter_bytes, adapter_slots
from mixserve.plan.memory import memory_plan
from mixserve.plan.placement import placement_of
from support.manifests import LLAMA_8B, placement, pool, subjects

# 41,943,040 weights in the layers, as PEFT counts them for all seven projections at rank 16, and those of the
# embeddings, input and output: 2 x 16 x (128256 + 4096).
LLAMA_AT_16 = 41_943_040 + 4_235_264


def test_no_adapters_take_no_room():
    assert adapter_slots(()) is None
    assert adapter_bytes(LLAMA_8B, None, tensor_parallel=1) == 0


def test_there_is_a_slot_for_each_adapter_of_the_largest_rank():
    adapters = (Adapter(name="a", source="pvc://a", rank=4), Adapter(name="b", source="pvc://b", rank=20))

    assert adapter_slots(adapters) == AdapterSlots(count=2, rank=32)


@pytest.mark.parametrize(("count", "rank", "times"), [(1, 16, 1), (3, 16, 3), (1, 64, 4)])
def test_a_slot_is_as_large_as_an_adapter_for_every_projection(count, rank, times):
    found = adapter_bytes(LLAMA_8B, AdapterSlots(count=count, rank=rank), tensor_parallel=1)

    # Norms are among the model's parameters, too; they make the MLP look a little wider.
    assert found == pytest.approx(2 * LLAMA_AT_16 * times, rel=0.001)


def test_on_several_gpus_the_models_width_is_there_several_times():
    slots = AdapterSlots(count=1, rank=16)
    one, two = (adapter_bytes(LLAMA_8B, slots, tensor_parallel=gpus) for gpus in (1, 2))

    assert two - one == 2 * 16 * (32 * 7 + 2) * 4096


def test_the_room_is_missing_from_the_cache():
    place = placement("bf16", "l4")
    engine = Engine(max_model_len=8192)
    without = memory_plan(LLAMA_8B, engine=engine, placement=place)
    room = AdapterSlots(count=4, rank=64)
    planned = memory_plan(LLAMA_8B, engine=engine, placement=replace(place, adapters=room))

    assert without.kv_budget_bytes - planned.kv_budget_bytes == adapter_bytes(LLAMA_8B, room, tensor_parallel=1)


def test_a_variant_is_placed_with_its_pools_adapters():
    adapters = [{"name": "law", "source": "pvc://a", "rank": 8}]
    manifest = pool(model={"source": "pvc://m", "adapters": adapters})
    (one,) = manifest.spec.variants
    (subject,) = subjects(manifest)

    assert placement_of(manifest, variant=one, catalog=subject.catalog) == subject.own_placement
    assert subject.own_placement.adapters == AdapterSlots(count=1, rank=8)
