from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.pool_status import PoolStatus
from mixserve.api.quantization import QuantizationFormat
from mixserve.controller import parsed_specs
from mixserve.controller.parsed_specs import ParsedSpecs, status_of
from support.crd_manifests import MANIFESTS

if TYPE_CHECKING:
    import pytest


def raw(generation: int = 1, **parts: Any) -> dict[str, Any]:
    metadata = {"name": "corpus", "uid": "u", "generation": generation}
    return {**MANIFESTS["QuantizationFormat"], "metadata": metadata, **parts}


def test_a_status_of_another_version_is_no_obstacle() -> None:
    found = ParsedSpecs().get(QuantizationFormat, raw(status={"unheard": "of"}))
    assert found.metadata.name == "corpus"


def test_a_spec_is_parsed_once_for_each_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(parsed_specs, "_parsed", lambda _, value: calls.append(value))
    specs = ParsedSpecs()
    for generation in (1, 1, 2, 2):
        specs.get(QuantizationFormat, raw(generation))
    assert len(calls) == 2
    specs.forget("u")
    specs.get(QuantizationFormat, raw(2))
    assert len(calls) == 3


def test_what_can_not_be_read_is_none() -> None:
    specs, wrong = ParsedSpecs(), raw(spec={})
    assert isinstance(specs.get(QuantizationFormat, wrong), ValidationError)
    assert specs.readable(QuantizationFormat, wrong) is None
    assert status_of(PoolStatus, raw()) is None
    assert status_of(PoolStatus, raw(status={"unheard": "of"})) is None
