import pytest

from mixserve.engines.protocol import LaunchedAdapter
from mixserve.engines.vllm import VLLMAdapter
from mixserve.engines.vllm_adapters import adapter_flags, slot_rank
from mixserve.engines.vllm_flags import owner_of
from support.launches import launch

LAW = LaunchedAdapter(name="law", path="/adapters/law", rank=8)
TAX = LaunchedAdapter(name="tax", path="/adapters/tax", rank=17)


def test_without_adapters_nothing_is_said():
    assert adapter_flags(()) == ()


def test_there_is_room_for_each_adapter_of_the_largest_rank():
    assert adapter_flags((LAW, TAX)) == (
        *("--enable-lora", "--max-loras", "2", "--max-lora-rank", "32"),
        *("--lora-modules", "law=/adapters/law", "tax=/adapters/tax"),
    )


@pytest.mark.parametrize(("rank", "slot"), [(1, 1), (2, 8), (8, 8), (9, 16), (300, 320), (321, 512), (512, 512)])
def test_vllm_has_room_of_certain_ranks(rank, slot):
    assert slot_rank(rank) == slot


def test_adapters_are_listed_beside_the_names_of_the_model():
    assert VLLMAdapter().listed_names(launch(adapters=(LAW,))) == ("chat", "talk", "law")


@pytest.mark.parametrize("flag", ["--enable-lora", "--lora-modules", "--max-loras=2", "--max-lora-rank=8"])
def test_the_flags_are_the_operators(flag):
    assert owner_of(flag) == "use spec.model.adapters"
