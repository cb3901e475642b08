from __future__ import annotations

import pytest

from mixserve.api.names import Reason
from mixserve.validate.about_pair import is_about_pair
from mixserve.validate.violation import Violation


@pytest.mark.parametrize(
    ("reason", "path", "is_about"),
    [
        (Reason.UNKNOWN_SPECULATIVE_PAIR, "spec.speculativePairRef.name", True),
        (Reason.INDIVISIBLE_HEADS, "spec.speculativePairRef.name", True),
        (Reason.UNSUPPORTED_SPECULATION, "spec.engine.version", True),
        (Reason.INVALID_SPEC, "spec.engine.version", False),
        (Reason.DOES_NOT_FIT, "spec.variants[0]", False),
    ],
)
def test_a_pair_hears_of_what_is_wrong_with_it_or_with_both(reason: Reason, path: str, is_about: bool) -> None:
    assert is_about_pair(Violation(reason, path, "it is so", "change it")) is is_about
