from __future__ import annotations

import json
from typing import Any

import pytest

from mixserve.api.names import ANNOTATION_LAST_VALID_POLICIES
from mixserve.apply.last_valid_policies import last_valid_policies
from support.policies import stored_policy

SPEC = stored_policy()["spec"]


def account(text: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {ANNOTATION_LAST_VALID_POLICIES: text}}}


def test_a_policy_has_the_spec_that_is_noted_and_all_else_as_it_is_now() -> None:
    now = stored_policy(generation=7, shadow={"poolRef": {"name": "large"}})
    found = last_valid_policies([now], account(json.dumps({"uid-auto": SPEC, "uid-gone": SPEC})))
    assert list(found) == ["uid-auto"]
    assert found["uid-auto"].spec.shadow is None
    assert found["uid-auto"].metadata.generation == 7


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"uid-auto": {}}', '{"uid-auto": 5}'])
def test_what_makes_no_sense_is_as_nothing(text: str) -> None:
    assert last_valid_policies([stored_policy()], account(text)) == {}


def test_without_an_account_or_a_note_there_is_nothing() -> None:
    assert last_valid_policies([stored_policy()], None) == {}
    assert last_valid_policies([stored_policy()], {"metadata": {}}) == {}
