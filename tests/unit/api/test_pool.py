from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from mixserve.api.engine import EngineType
from mixserve.api.pool import AutoscalingMode, LLMServingPool

SMALLEST: dict[str, Any] = {
    "apiVersion": "mixserve.dev/v1alpha1",
    "kind": "LLMServingPool",
    "metadata": {"name": "llama", "namespace": "llm"},
    "spec": {
        "model": {"source": "pvc://models/llama-8b"},
        "variants": [{"name": "main", "quantization": "bf16", "accelerator": "l4"}],
    },
}
REVISION = "0" * 40


def manifest(**changes: Any) -> dict[str, Any]:
    """The smallest pool with other values at dotted paths below spec, `_` for the dot."""
    changed = copy.deepcopy(SMALLEST)
    for path, value in changes.items():
        *parents, last = path.split("_")
        node: Any = changed["spec"]
        for parent in parents:
            node = node[int(parent)] if parent.isdigit() else node.setdefault(parent, {})
        node[last] = value
    return changed


def refusal(value: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse(value)
    return str(error.value)


def test_six_lines_are_enough() -> None:
    spec = LLMServingPool.parse(SMALLEST).spec
    assert spec.engine.type is EngineType.VLLM
    assert spec.engine.startup_timeout == timedelta(minutes=30)
    assert spec.autoscaling.mode is AutoscalingMode.NATIVE
    assert (spec.variants[0].replicas.min, spec.variants[0].replicas.max) == (1, 1)
    assert spec.drain_timeout == timedelta(minutes=10)


def test_a_pool_answers_for_its_own_name_unless_it_says_others() -> None:
    assert LLMServingPool.parse(SMALLEST).served_names == ("llama",)
    assert LLMServingPool.parse(manifest(servedNames=["a", "b"])).served_names == ("a", "b")


def test_the_wire_form_is_read_as_the_same_pool() -> None:
    pool = LLMServingPool.parse(manifest(drainTimeout="90s", engine_args=["--seed=1"]))
    assert LLMServingPool.parse(pool.to_wire()) == pool


@pytest.mark.parametrize("name", ["a", "a-0", "a" * 40])
def test_a_pool_is_called_as_a_service_may_be(name: str) -> None:
    assert LLMServingPool.parse({**SMALLEST, "metadata": {"name": name}}).metadata.name == name


@pytest.mark.parametrize("name", ["", "0a", "a" * 41, "a.b", "a-", "A", "a\n"])
def test_other_names_are_refused(name: str) -> None:
    assert "the Service is called so" in refusal({**SMALLEST, "metadata": {"name": name}})


@pytest.mark.parametrize(
    "changes",
    [
        {"model_source": "hf://a/b"},
        {"model_revision": REVISION},
        {"variants_0_source": "hf://a/b"},
        {"variants_0_revision": REVISION},
    ],
)
def test_a_revision_belongs_to_a_hub_source_and_to_nothing_else(changes: dict[str, Any]) -> None:
    assert "revision is needed" in refusal(manifest(**changes))


def test_a_hub_source_with_its_revision_is_taken() -> None:
    changes = {"model_source": "hf://a/b", "model_revision": REVISION}
    LLMServingPool.parse(manifest(**changes))
    LLMServingPool.parse(manifest(variants_0_source="hf://a/b", variants_0_revision=REVISION))


@pytest.mark.parametrize("source", ["pvc://models/../other", "host:///models/..", "hf://../b"])
def test_no_source_leads_out_of_its_place(source: str) -> None:
    assert "spec.model.source" in refusal(manifest(model_source=source))


def test_a_minimum_above_the_maximum_is_refused() -> None:
    assert "min must not be greater than max" in refusal(manifest(variants_0_replicas={"min": 2}))


def test_a_pool_of_nothing_is_refused() -> None:
    assert "at least one variant needs replicas.min of 1 or more" in refusal(
        manifest(variants_0_replicas={"min": 0, "max": 3})
    )


def test_variants_have_names_of_their_own() -> None:
    assert "name 'main' occurs twice" in refusal(manifest(variants=SMALLEST["spec"]["variants"] * 2))


FACTS = {
    "parameters": 3,
    "layers": 1,
    "hiddenSize": 1,
    "attentionHeads": 32,
    "keyValueHeads": 8,
    "headSize": 1,
    "vocabularySize": 1,
    "maxPositionEmbeddings": 1,
}


def test_key_value_heads_divide_attention_heads() -> None:
    assert "keyValueHeads must divide attentionHeads" in refusal(manifest(model_facts={**FACTS, "keyValueHeads": 9}))
    LLMServingPool.parse(manifest(model_facts=FACTS))


@pytest.mark.parametrize(("parameters", "tied"), [(2, False), (1, True)])
def test_a_model_has_more_parameters_than_its_embeddings(parameters: int, tied: bool) -> None:
    facts = {**FACTS, "parameters": parameters, "tiedEmbeddings": tied}
    with pytest.raises(ValidationError):
        LLMServingPool.parse(manifest(model_facts=facts))
    LLMServingPool.parse(manifest(model_facts={**facts, "parameters": parameters + 1}))


@pytest.mark.parametrize(
    "batching",
    [{}, {"maxSequences": 64}, {"maxBatchedTokens": 1}, {"maxSequences": 64, "maxBatchedTokens": 64}],
)
def test_a_step_has_a_token_for_each_request(batching: dict[str, int]) -> None:
    LLMServingPool.parse(manifest(engine_batching=batching))
    too_many = manifest(engine_batching={"maxSequences": 64, "maxBatchedTokens": 63})
    assert "maxBatchedTokens must not be less than maxSequences" in refusal(too_many)


def test_the_default_version_is_no_version_of_tensorrt_llm() -> None:
    LLMServingPool.parse(manifest(engine_type="tensorrt-llm", engine_version="1.2.1"))
    assert "must be one of TensorRT-LLM" in refusal(manifest(engine_type="tensorrt-llm"))


@pytest.mark.parametrize("name", ["default", "kubernetes"])
def test_what_kubernetes_itself_is_called_no_pool_is(name: str) -> None:
    assert "must not be default or kubernetes" in refusal({**SMALLEST, "metadata": {"name": name}})


@pytest.mark.parametrize("key", [".", "..", "..data", "a/b", ""])
def test_a_key_that_no_secret_has_is_refused(key: str) -> None:
    model = {"source": "hf://a/b", "revision": REVISION, "tokenSecretRef": {"name": "hf", "key": key}}
    assert "tokenSecretRef.key" in refusal(manifest(model=model))
    LLMServingPool.parse(manifest(model={**model, "tokenSecretRef": {"name": "hf", "key": ".netrc"}}))


@pytest.mark.parametrize("source", ["pvc://my.claim/x", f"pvc://{'a' * 253}/x"])
def test_claims_are_called_as_kubernetes_lets_them(source: str) -> None:
    LLMServingPool.parse(manifest(model_source=source))
    assert "spec.model.source" in refusal(manifest(model_source=f"pvc://{'a' * 254}/x"))


def test_a_pool_answers_for_its_adapters_too() -> None:
    adapters = [{"name": "law", "source": "pvc://a"}, {"name": "tax", "source": "pvc://b"}]
    found = LLMServingPool.parse(manifest(model_adapters=adapters))
    assert found.model_names == (*found.served_names, "law", "tax")


def test_a_token_without_a_hub_source_is_refused() -> None:
    token = {"name": "hf", "key": "token"}
    hub = {"source": "hf://a/b", "revision": REVISION}
    message = (
        "model.tokenSecretRef has no meaning unless a variant, an adapter or the draft of speculativePairRef has an "
        "hf:// source"
    )
    assert message in refusal(manifest(model_tokenSecretRef=token))
    LLMServingPool.parse(manifest(model={**hub, "tokenSecretRef": token}))
    variant = {**SMALLEST["spec"]["variants"][0], **hub}
    LLMServingPool.parse(manifest(model_tokenSecretRef=token, variants=[variant]))
    LLMServingPool.parse(manifest(model_tokenSecretRef=token, model_adapters=[{"name": "law", **hub}]))
    elsewhere = {**variant, "source": "pvc://a", "revision": None}
    assert message in refusal(manifest(model={**hub, "tokenSecretRef": token}, variants=[elsewhere]))
