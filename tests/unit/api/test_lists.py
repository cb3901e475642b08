from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from mixserve.api.base import StrictModel
from mixserve.api.lists import ListMap, ListSet
from mixserve.api.problems import problems


class Entry(StrictModel):
    name: str
    value: int = 0


class Step(StrictModel):
    max_batch: int


class Lists(StrictModel):
    steps: Annotated[tuple[Step, ...], ListMap("max_batch")] = ()
    entries: Annotated[tuple[Entry, ...], ListMap("name")] = ()
    names: Annotated[tuple[str, ...], ListSet()] = ()


def refusal(value: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        Lists.parse(value)
    return "\n".join(map(str, problems(error.value)))


def test_entries_with_keys_of_their_own_are_taken() -> None:
    lists = Lists.parse({"entries": [{"name": "a"}, {"name": "b"}], "names": ["a", "b"]})
    assert [entry.name for entry in lists.entries] == ["a", "b"]
    assert lists.names == ("a", "b")


def test_a_key_that_occurs_twice_is_named() -> None:
    twice = {"entries": [{"name": "a"}, {"name": "b"}, {"name": "a", "value": 1}]}
    assert refusal(twice) == "entries: name 'a' occurs twice; each entry needs a name of its own"


def test_a_key_of_two_words_is_named_as_the_manifest_has_it() -> None:
    twice = {"steps": [{"maxBatch": 8}, {"maxBatch": 8}]}
    assert refusal(twice) == "steps: maxBatch '8' occurs twice; each entry needs a maxBatch of its own"
    assert Lists.model_json_schema()["properties"]["steps"]["x-kubernetes-list-map-keys"] == ["maxBatch"]


def test_a_text_that_occurs_twice_is_named() -> None:
    assert refusal({"names": ["a", "b", "b"]}) == "names: 'b' occurs twice; leave one out"


def test_the_schema_says_how_entries_are_told_apart() -> None:
    properties = Lists.model_json_schema()["properties"]
    assert properties["entries"]["x-kubernetes-list-type"] == "map"
    assert properties["entries"]["x-kubernetes-list-map-keys"] == ["name"]
    assert properties["names"]["x-kubernetes-list-type"] == "set"
