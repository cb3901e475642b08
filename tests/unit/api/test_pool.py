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


def test_key_value_heads_divide_attention_heads() -> None:
    numbers = ("parameters", "layers", "hiddenSize", "headSize", "vocabularySize", "maxPositionEmbeddings")
    facts = dict.fromkeys(numbers, 1) | {"attentionHeads": 32, "keyValueHeads": 9}
    assert "keyValueHeads must divide attentionHeads" in refusal(manifest(model_facts=facts))
    LLMServingPool.parse(manifest(model_facts={**facts, "keyValueHeads": 8}))
