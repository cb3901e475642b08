from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.problems import problems


class Inner(StrictModel):
    least_count: int = 0
    names: tuple[str, ...] = ()


class Outer(StrictModel):
    inner: Inner = Inner()
    label: str | None = None
    ratio: float = 0.5

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(rule="self.label != 'x'", message="label must not be x", holds=lambda o: o.label != "x"),
    )


def refusal(value: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        Outer.parse(value)
    return "\n".join(map(str, problems(error.value)))


def test_fields_are_camel_case_outside_and_snake_case_inside() -> None:
    assert Outer.parse({"inner": {"leastCount": 3, "names": ["a"]}}).inner == Inner(least_count=3, names=("a",))


def test_an_unknown_field_is_refused() -> None:
    assert refusal({"inner": {"leestCount": 3}}) == "inner.leestCount: there is no such field"


@pytest.mark.parametrize("value", ["3", True, 3.5, float("nan"), [3]])
def test_nothing_but_an_integer_is_one(value: Any) -> None:
    assert refusal({"inner": {"leastCount": value}}).startswith("inner.leastCount: must be a valid integer")


def test_a_whole_float_is_an_integer() -> None:
    assert Outer.parse({"inner": {"leastCount": 3.0}}).inner.least_count == 3


def test_null_is_unset_at_every_depth() -> None:
    assert Outer.parse({"inner": {"leastCount": None}, "label": None, "ratio": None}) == Outer()


def test_null_in_a_list_is_refused() -> None:
    assert refusal({"inner": {"names": [None]}}).startswith("inner.names[0]: ")


def test_tuples_are_lists_as_well() -> None:
    assert Outer.parse({"inner": {"names": ("a", "b")}}).inner.names == ("a", "b")


def test_a_broken_rule_says_its_message() -> None:
    assert refusal({"label": "x"}) == "the object: label must not be x"


def test_the_wire_form_leaves_out_what_is_unset() -> None:
    assert Outer(inner=Inner(least_count=1)).to_wire() == {"inner": {"leastCount": 1, "names": []}, "ratio": 0.5}


def test_rules_are_part_of_the_schema() -> None:
    schema = Outer.model_json_schema()
    rule = {"rule": "self.label != 'x'", "message": "label must not be x"}
    assert schema["x-kubernetes-validations"] == [rule]
    assert "x-kubernetes-validations" not in schema["$defs"]["Inner"]


def test_values_can_not_be_changed() -> None:
    with pytest.raises(ValidationError):
        Outer().label = "y"  # type: ignore[misc]


def test_metadata_keeps_what_decisions_read() -> None:
    meta = ObjectMeta.model_validate({"name": "a", "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"a": "b"}})
    assert meta == ObjectMeta(name="a", creation_timestamp="2026-01-02T03:04:05Z")
