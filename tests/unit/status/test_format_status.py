from __future__ import annotations

from mixserve.status.format_status import build_format_status
from mixserve.status.users import Users


def test_it_says_who_uses_the_format() -> None:
    status = build_format_status(generation=2, users=Users(("a/x", "b/y")))
    assert status.to_wire() == {"observedGeneration": 2, "pools": 2, "usedBy": ["a/x", "b/y"]}
    assert build_format_status(generation=2, users=Users()).to_wire() == {
        "observedGeneration": 2,
        "pools": 0,
        "usedBy": [],
    }
