"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """Return the first true value of `condition`, looked at 20 times a second; fail after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {timeout_s:.0f} s; the last value was {value!r}")
        time.sleep(0.05)
    return value
