from __future__ import annotations

from typing import Any

import pytest

from mixserve.plan.proposer import Proposer, proposer_of
from support.manifests import LLAMA_8B, placement, pool
from support.pairs import DRAFT_CONFIG, HEAD_CONFIG, MTP_CONFIG, pair, speculations

POOL = pool(speculativePairRef={"name": "pair"})


def proposer(method: str, *, place: Any = None, facts: Any = LLAMA_8B, **files: Any) -> Proposer | None:
    speculation = speculations(POOL, pair(method), **files)["main"]
    return proposer_of(speculation, facts, placement=place or placement())


@pytest.mark.parametrize("method", ["NGram", "Suffix"])
def test_looking_up_takes_nothing(method: str) -> None:
    found = proposer(method)
    assert found == Proposer()
    assert not found.is_on_gpu


def test_a_draft_model_takes_its_weights_and_its_own_keys_and_values() -> None:
    found = proposer("DraftModel")
    assert found is not None
    assert found.memory_bytes == found.read_bytes == 2 * 1_235_814_400
    assert found.kv_bytes_per_token == 2 * 16 * 8 * 64 * 2
    assert found.is_on_gpu


def test_a_draft_shares_the_gpus_of_the_model() -> None:
    found = proposer("DraftModel", place=placement(tensor_parallel=16))
    assert found is not None
    # Eight heads on sixteen GPUs: each is there twice.
    assert found.kv_bytes_per_token == 2 * 16 * 16 * 64 * 2


def test_a_quantized_draft_takes_less() -> None:
    quantized = {**DRAFT_CONFIG, "quantization_config": {"quant_method": "fp8"}}
    found = proposer("DraftModel", draft=quantized)
    assert found is not None
    embeddings = 128256 * 2048
    assert found.memory_bytes == 1_235_814_400 - embeddings + 2 * embeddings


def test_a_checkpoint_that_says_its_size_is_believed() -> None:
    sized = {**DRAFT_CONFIG, "model.safetensors.index.json": {"metadata": {"total_size": 2_500_000_000}}}
    found = proposer("DraftModel", draft=sized)
    assert found is not None
    assert found.memory_bytes == 2_500_000_000


def test_a_head_is_one_layer() -> None:
    found = proposer("EAGLE3", draft=HEAD_CONFIG)
    assert found is not None
    assert found.memory_bytes == pytest.approx(850e6, rel=0.01)
    assert found.kv_bytes_per_token == 2 * 8 * 128 * 2


def test_a_draft_that_nobody_knows_is_unknown() -> None:
    assert proposer("DraftModel", draft=None) is None


def test_mtp_is_one_more_layer_and_the_output_matrix_again() -> None:
    found = proposer("MTP", target=MTP_CONFIG, place=placement("bf16"))
    assert found is not None
    layer = (LLAMA_8B.parameters - 2 * 128256 * 4096) // 32 + 2 * 4096**2
    assert found.memory_bytes == pytest.approx(2 * layer, rel=1e-6)
    assert found.parameters == layer + 128256 * 4096
    assert found.kv_bytes_per_token == 2 * 8 * 128 * 2


def test_layers_that_the_checkpoints_size_counts_already_are_not_counted_again() -> None:
    facts = LLAMA_8B.model_copy(update={"checkpoint_bytes": 2 * LLAMA_8B.parameters + 400_000_000})
    found = proposer("MTP", target=MTP_CONFIG, place=placement("bf16"), facts=facts)
    assert found is not None
    assert found.memory_bytes == 0
    assert found.read_bytes > 0


def test_where_nobody_says_how_many_layers_there_are_it_is_one() -> None:
    assert proposer("MTP", target=None) == proposer("MTP", target=MTP_CONFIG)
    two = proposer("MTP", target={**MTP_CONFIG, "num_nextn_predict_layers": 2})
    assert two is not None
    assert two.kv_bytes_per_token == 2 * 2 * 8 * 128 * 2
