"""Checks of a pool's LoRA adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import ADAPTERS, adapter_for
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.pool import LLMServingPool


def adapters_not_served(pool: LLMServingPool) -> Iterator[Violation]:
    """The engine has no name of its own for an adapter."""
    engine = pool.spec.engine.type
    if pool.spec.model.adapters and not adapter_for(engine).serves_adapters:
        able = ", ".join(other for other, adapter in ADAPTERS.items() if adapter.serves_adapters)
        yield Violation(
            Reason.INVALID_SPEC,
            "spec.model.adapters",
            f"{engine} takes an adapter with each request, and has no model names for adapters",
            f"choose {able} as spec.engine.type, or take the adapters out",
        )


def adapter_called_as_the_model(pool: LLMServingPool) -> Iterator[Violation]:
    """The engine would not know which of the two is meant."""
    for index, adapter in enumerate(pool.spec.model.adapters):
        if adapter.name in pool.served_names:
            yield Violation(
                Reason.SERVED_NAME_TAKEN,
                f"spec.model.adapters[{index}].name",
                f"{adapter.name} is a name of the model itself",
                "give the adapter another name, or the model other spec.servedNames",
            )
