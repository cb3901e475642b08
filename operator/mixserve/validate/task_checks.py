"""Checks of what a pool's model is served for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.engine import Task
from mixserve.api.names import Reason
from mixserve.engines.registry import ADAPTERS, adapter_for
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.pool import LLMServingPool


def task_not_run(pool: LLMServingPool) -> Iterator[Violation]:
    """The operator does not start the engine for this."""
    task, engine = pool.spec.task, pool.spec.engine.type
    if task in adapter_for(engine).tasks:
        return
    able = ", ".join(other for other, adapter in ADAPTERS.items() if task in adapter.tasks)
    yield Violation(
        Reason.INVALID_SPEC,
        "spec.task",
        f"{task} is not among what {engine} is started for here",
        f"choose {able} as spec.engine.type",
    )


def embeddings_with_speculation(pool: LLMServingPool) -> Iterator[Violation]:
    """An embedding is made in one step, of which there is nothing to propose."""
    if pool.spec.task is Task.EMBED and pool.spec.speculative_pair_ref is not None:
        yield Violation(
            Reason.UNSUPPORTED_SPECULATION,
            "spec.speculativePairRef",
            "a model that makes embeddings makes no tokens, so that there are none to propose",
            "take it out, or set spec.task to Generate",
        )
