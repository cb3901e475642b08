from __future__ import annotations

from mixserve_devcluster.node.waiting import causes


def test_the_causes_of_nested_groups() -> None:
    errors = [ValueError("a"), OSError("b"), KeyError("c")]
    assert causes(ExceptionGroup("", [errors[0], ExceptionGroup("", errors[1:])])) == errors
    assert causes(errors[0]) == errors[:1]
