"""Checks of what all variants share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.pool import LLMServingPool


def owned_flags(pool: LLMServingPool) -> Iterator[Violation]:
    """Raw arguments that a field or the operator owns."""
    adapter = adapter_for(pool.spec.engine.type)
    for index, argument in enumerate(pool.spec.engine.args):
        advice = adapter.owner_of(argument)
        if advice is not None:
            # Without its value, which may be a secret.
            flag = argument.partition("=")[0]
            yield Violation(
                Reason.OWNED_FLAG,
                f"spec.engine.args[{index}]",
                f"{flag} is set by the operator",
                advice,
            )
