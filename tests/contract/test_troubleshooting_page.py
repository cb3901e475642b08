"""Every reason that a condition or an event can have is explained, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from mixserve.api.names import ConditionType, Reason
from mixserve.api.pool_status import BlockReason

PAGE = Path(__file__).parents[2] / "docs/troubleshooting.md"
COLUMNS = {"REASON", "LIMITED-BY", "TARGETS"}


def quoted_words() -> set[str]:
    prose = re.sub(r"```.*?```", "", PAGE.read_text(), flags=re.DOTALL)
    return set(re.findall(r"`([A-Z][A-Za-z-]+)`", prose)) - COLUMNS


def test_every_reason_is_explained() -> None:
    assert set(Reason) - quoted_words() == set()


def test_every_word_is_a_reason_or_a_condition() -> None:
    assert quoted_words() - set(Reason) - set(ConditionType) - set(BlockReason) == set()
