import pytest
from pydantic import ValidationError

from mixserve.api.names import Reason
from mixserve.api.pool import LLMServingPool
from mixserve.validate.unreadable import against_schema, unreadable
from support.manifests import pool


def found(**changes):
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse({**pool().to_wire(), **changes})
    return unreadable(error.value)


def test_fields_have_the_paths_that_people_write():
    spec = pool().to_wire()["spec"]
    spec["variants"][0] |= {"gpus": 2, "tensorParallel": 0}

    tensor_parallel, gpus = found(spec=spec)

    assert gpus.reason is Reason.INVALID_SPEC
    assert gpus.message == (
        "spec.variants[0].gpus: the operator can't read it: there is no such field; correct the field, and install the "
        "CRDs of the operator's own version"
    )
    assert tensor_parallel.field_path == "spec.variants[0].tensorParallel"


def test_a_name_that_is_refused_is_said_to_be_the_name():
    (violation,) = found(metadata={"name": "default"})

    assert violation.field_path == "metadata.name"
    assert "must not be default or kubernetes" in violation.cause


def test_a_manifest_that_no_api_server_has_seen_is_pointed_to_the_reference():
    with pytest.raises(ValidationError) as error:
        LLMServingPool.parse({**pool().to_wire(), "spec": {"gpus": 2}})

    assert [violation.message for violation in against_schema(error.value, "LLMServingPool")] == [
        "spec.model: is needed; correct it as docs/reference/llmservingpool.md says",
        "spec.variants: is needed; correct it as docs/reference/llmservingpool.md says",
        "spec.gpus: there is no such field; correct it as docs/reference/llmservingpool.md says",
    ]
