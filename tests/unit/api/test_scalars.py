from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mixserve.api.base import StrictModel
from mixserve.api.problems import problems
from mixserve.api.scalars import DecimalString, Duration, GpuCount, Memory, PositiveDuration, format_duration


class Scalars(StrictModel):
    time: Duration = timedelta(0)
    wait: PositiveDuration = timedelta(seconds=1)
    memory: Memory = 2**30
    gpus: GpuCount = 1
    number: DecimalString = Decimal(1)


def refusal(**value: Any) -> str:
    with pytest.raises(ValidationError) as error:
        Scalars.parse(value)
    (problem,) = problems(error.value)
    return str(problem)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("5m5m", 600), ("24h", 86400)]
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: int) -> None:
    assert Scalars.parse({"time": text}).time == timedelta(seconds=seconds)


@given(st.integers(min_value=0, max_value=86400).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_duration_survives_the_wire(duration: timedelta) -> None:
    assert Scalars.parse({"time": format_duration(duration)}).time == duration
    assert Scalars.parse(Scalars(time=duration).to_wire()).time == duration


def test_durations_are_written_in_whole_units() -> None:
    assert [format_duration(timedelta(seconds=s)) for s in (0, 61, 3600, 5400)] == ["0s", "1m1s", "1h", "1h30m"]


@pytest.mark.parametrize("text", ["", "5", "PT5M", "5m ", "-5m", "1.5h"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    assert refusal(time=text) == f"time: {text!r} is not a duration such as 90s, 15m or 1h30m"


def test_a_number_is_no_duration() -> None:
    assert refusal(time=5).startswith("time: ")


def test_durations_have_bounds() -> None:
    assert refusal(time="24h1s") == "time: must be at most 24h"
    assert refusal(wait="24h1s") == "wait: must be at most 24h"
    assert refusal(wait="0s") == "wait: must be at least 1s"


def test_durations_made_in_python_have_the_same_bounds() -> None:
    with pytest.raises(ValidationError, match="must be at most 24h"):
        Scalars(time=timedelta(hours=25))


@pytest.mark.parametrize(("text", "size"), [("1Mi", 2**20), ("22528Mi", 22 * 2**30), ("80Gi", 80 * 2**30)])
def test_memory_is_bytes_inside(text: str, size: int) -> None:
    parsed = Scalars.parse({"memory": text})
    assert parsed.memory == size
    assert parsed.to_wire()["memory"] == f"{size // 2**20}Mi"


def test_memory_made_in_python_is_bytes() -> None:
    assert Scalars(memory=80 * 2**30).to_wire()["memory"] == "81920Mi"


@pytest.mark.parametrize("value", ["80G", "0Gi", "80", 80, True])
def test_what_is_no_memory_is_refused_with_an_example(value: Any) -> None:
    assert refusal(memory=value) == f"memory: {value!r} is not an amount of memory such as 22528Mi or 80Gi"


def test_a_decimal_keeps_its_digits() -> None:
    parsed = Scalars.parse({"number": "4.1560"})
    assert parsed.number == Decimal("4.156")
    assert parsed.to_wire()["number"] == "4.1560"


@pytest.mark.parametrize("value", ["1e1", "-1", "NaN", 4.156, 4])
def test_what_is_no_quoted_decimal_is_refused_with_an_example(value: Any) -> None:
    assert refusal(number=value) == f"number: {value!r} is not a decimal number in quotes such as '4.156'"


@pytest.mark.parametrize("value", [1, 64, "auto", 2.0])
def test_a_number_of_gpus_is_an_integer_or_auto(value):
    assert Scalars.parse({"gpus": value}).gpus == value
    assert Scalars.parse({"gpus": value}).to_wire()["gpus"] == value


@pytest.mark.parametrize("value", [0, 65, -1, True, "2", "Auto", 1.5, [1], {}])
def test_anything_else_is_no_number_of_gpus(value):
    assert refusal(gpus=value) == f"gpus: {value!r} is neither auto nor an integer from 1 to 64"
