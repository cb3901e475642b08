from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.engine.errors import ConfigurationError
from mixserve_devcluster.engine.model_facts import SimulatedModel, find
from support.simulated_server import annotations

if TYPE_CHECKING:
    from pathlib import Path

# Qwen3-8B, whose parameters the model card gives as 8.2 billion.
QWEN3_8B = {
    "num_hidden_layers": 36,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
    "max_position_embeddings": 40960,
}


def model(
    name: str = "some/model",
    pod: dict[str, str] | None = None,
    *,
    quantization: str | None = None,
    kv: str = "auto",
    gpus: int = 1,
) -> SimulatedModel:
    return find(name, pod or {}, quantization=quantization, kv_cache_dtype=kv, tensor_parallel=gpus)


def directory(path: Path, config: Any) -> str:
    path.joinpath("config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return str(path)


def test_the_memory_plan_is_taken_as_it_is() -> None:
    plan = annotations(
        parameters=10, activeParameters=3, weightsBytes=20, kvBytesPerToken=4, computeBits=8, maxModelLen=99
    )
    found = model(pod=plan, quantization="awq", kv="fp8")
    assert (found.facts.parameters, found.facts.active_parameters) == (10, 3)
    assert (found.facts.weights_bytes, found.facts.kv_bytes_per_token) == (20, 4)
    assert (found.compute_bits, found.context_tokens) == (8, 99)


def test_a_memory_plan_without_the_finer_points_is_a_dense_model_in_16_bits() -> None:
    found = model(pod=annotations())
    assert found.facts.active_parameters == found.facts.parameters
    assert (found.compute_bits, found.context_tokens) == (16, None)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        ("{", "Expecting property name"),
        ("[]", "must be a JSON object"),
        ("{}", "parameters: must be a positive integer, is None"),
        (annotations(weightsBytes="1")["mixserve.dev/memory-plan"], "weightsBytes: must be a positive integer, is '1'"),
        (annotations(kvBytesPerToken=True)["mixserve.dev/memory-plan"], "kvBytesPerToken: must be a positive"),
        (annotations(activeParameters=10**10)["mixserve.dev/memory-plan"], "active_parameters: .* is more than"),
    ],
)
def test_an_unusable_memory_plan_is_refused_with_the_annotations_name(plan: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"annotation mixserve.dev/memory-plan: {complaint}"):
        model(pod={"mixserve.dev/memory-plan": plan})


def test_config_json_gives_the_size_of_a_dense_model(tmp_path: Path) -> None:
    found = model(directory(tmp_path, QWEN3_8B))
    assert found.facts.parameters == pytest.approx(8.2e9, rel=0.01)
    assert found.facts.weights_bytes == 2 * found.facts.parameters
    assert found.facts.kv_bytes_per_token == 2 * 36 * 8 * 128 * 2
    assert (found.compute_bits, found.context_tokens) == (16, 40960)


@pytest.mark.parametrize(("gpus", "heads_per_gpu"), [(1, 8), (2, 4), (8, 1), (16, 1), (32, 1)])
def test_a_gpu_keeps_one_kv_head_at_least(tmp_path: Path, gpus: int, heads_per_gpu: int) -> None:
    found = model(directory(tmp_path, QWEN3_8B), gpus=gpus)
    assert found.facts.kv_bytes_per_token == gpus * (2 * 36 * heads_per_gpu * 128 * 2)


def test_the_memory_plan_counts_the_copies_itself() -> None:
    assert model(pod=annotations(kvBytesPerToken=4), gpus=64).facts.kv_bytes_per_token == 4


def test_a_nested_config_without_the_optional_fields_is_read_too(tmp_path: Path) -> None:
    optional = ("num_key_value_heads", "head_dim", "tie_word_embeddings")
    bare = {key: value for key, value in QWEN3_8B.items() if key not in optional}
    found = model(directory(tmp_path, {"text_config": bare}))
    assert found.facts.kv_bytes_per_token == 2 * 36 * 32 * 128 * 2


def test_tied_embeddings_are_stored_once(tmp_path: Path) -> None:
    untied = model(directory(tmp_path, QWEN3_8B)).facts.parameters
    tied = model(directory(tmp_path, {**QWEN3_8B, "tie_word_embeddings": True})).facts.parameters
    assert untied - tied == 151936 * 4096


@pytest.mark.parametrize(
    ("quantization", "bits_per_weight", "compute_bits"),
    [(None, 16, 16), ("fp8_per_tensor", 8, 8), ("awq_marlin", 4.156, 16), ("modelopt_fp4", 4.5, 4), ("other", 16, 16)],
)
def test_quantization_makes_weights_smaller(
    tmp_path: Path, quantization: str | None, bits_per_weight: float, compute_bits: int
) -> None:
    found = model(directory(tmp_path, QWEN3_8B), quantization=quantization)
    assert found.facts.weights_bytes == int(found.facts.parameters * bits_per_weight / 8)
    assert found.compute_bits == compute_bits


@pytest.mark.parametrize(("kv", "bits"), [("auto", 16), ("fp8_e4m3", 8), ("nvfp4", 4.5)])
def test_a_quantized_cache_makes_keys_and_values_smaller(kv: str, bits: float) -> None:
    assert model(kv=kv).facts.kv_bytes_per_token == model().facts.kv_bytes_per_token * bits / 16


def test_an_unknown_model_has_the_size_of_llama_8b_and_no_known_context() -> None:
    found = model()
    assert found.facts.parameters == pytest.approx(8.03e9, rel=0.001)
    assert (found.facts.kv_bytes_per_token, found.context_tokens) == (131072, None)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("{", "Expecting property name"),
        ("[]", "must be a JSON object"),
        ({**QWEN3_8B, "hidden_size": "wide"}, "hidden_size: must be a positive integer, is 'wide'"),
        ({**QWEN3_8B, "num_experts": 8}, "mixtures of experts and latent attention are not read"),
    ],
)
def test_an_unusable_config_names_the_file_and_the_way_out(tmp_path: Path, config: Any, complaint: str) -> None:
    name = directory(tmp_path, config)
    with pytest.raises(ConfigurationError, match=complaint) as error:
        model(name)
    assert str(error.value).startswith(f"{name}/config.json: ")
    assert "needs the annotation mixserve.dev/memory-plan" in str(error.value)
