from __future__ import annotations

import pytest
from pydantic import ValidationError

from mixserve.api.pool import LLMServingPool
from mixserve.api.problems import Problem, problems


def test_everything_wrong_is_found_at_once_and_says_where() -> None:
    manifest = {
        "metadata": {"name": "a"},
        "spec": {
            "model": {"source": "s3://bucket"},
            "engine": {"kvCache": {"memoryUtilizationPercent": 120}},
            "variants": [
                {"name": "main", "quantization": "fp8", "accelerator": "l4", "replicas": {"min": 3, "max": 2}},
                {"name": "Second", "quantisation": "fp8", "accelerator": "l4"},
            ],
        },
    }
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse(manifest)
    found = {problem.field_path: problem.cause for problem in problems(error.value)}
    assert found.pop("spec.model.source").startswith("must match ^(hf://")
    assert found.pop("spec.variants[1].name").startswith("must match ^")
    assert found == {
        "spec.engine.kvCache.memoryUtilizationPercent": "must be less than or equal to 99",
        "spec.variants[0].replicas": "min must not be greater than max",
        "spec.variants[1].quantization": "is needed",
        "spec.variants[1].quantisation": "there is no such field",
    }


def test_a_list_without_entries_is_too_short() -> None:
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse({"metadata": {"name": "a"}, "spec": {"model": {"source": "pvc://a"}, "variants": []}})
    assert [problem.field_path for problem in problems(error.value)] == ["spec.variants"]


def test_a_problem_reads_as_a_line() -> None:
    assert str(Problem("spec.model", "is needed")) == "spec.model: is needed"
    assert str(Problem("", "is needed")) == "the object: is needed"
