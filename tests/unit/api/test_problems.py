from __future__ import annotations

import re

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
    assert [str(problem) for problem in problems(error.value)] == ["spec.variants: must have at least 1 entry"]


def test_a_list_with_too_many_entries_says_how_many_there_may_be() -> None:
    names = [f"name-{number}" for number in range(100)]
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse({"metadata": {"name": "a"}, "spec": {"servedNames": names, "variants": "none"}})
    found = {problem.field_path: problem.cause for problem in problems(error.value)}
    assert re.fullmatch(r"must have at most \d+ entries", found["spec.servedNames"])


def test_what_is_no_object_must_be_one() -> None:
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse({"metadata": {"name": "a"}, "spec": 3})
    assert [str(problem) for problem in problems(error.value)] == ["spec: must be an object"]


def test_a_problem_reads_as_a_line() -> None:
    assert str(Problem("spec.model", "is needed")) == "spec.model: is needed"
    assert str(Problem("", "is needed")) == "the object: is needed"
