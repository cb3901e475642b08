import pytest

from mixserve.api.names import Reason
from mixserve.validate.task_checks import embeddings_with_speculation, task_not_run
from support.manifests import pool

TENSORRT_LLM = {"type": "tensorrt-llm", "version": "1.2.1"}


@pytest.mark.parametrize(
    "manifest", [pool(), pool(task="Embed"), pool(engine=TENSORRT_LLM), pool(task="Generate", engine=TENSORRT_LLM)]
)
def test_engines_are_started_for_what_they_can(manifest):
    assert list(task_not_run(manifest)) == []


def test_tensorrt_llm_is_not_started_for_embeddings():
    (found,) = task_not_run(pool(task="Embed", engine=TENSORRT_LLM))

    assert (found.reason, found.field_path) == (Reason.INVALID_SPEC, "spec.task")
    assert found.message == (
        "spec.task: Embed is not among what tensorrt-llm is started for here; choose vllm as spec.engine.type"
    )


def test_embeddings_have_no_tokens_to_propose():
    speculating = {"speculativePairRef": {"name": "ngram"}}
    (found,) = embeddings_with_speculation(pool(task="Embed", **speculating))

    assert (found.reason, found.field_path) == (Reason.UNSUPPORTED_SPECULATION, "spec.speculativePairRef")
    assert list(embeddings_with_speculation(pool(**speculating))) == []
    assert list(embeddings_with_speculation(pool(task="Embed"))) == []
