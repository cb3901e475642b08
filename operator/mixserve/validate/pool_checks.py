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


def owned_variables(pool: LLMServingPool) -> Iterator[Violation]:
    """Environment variables that a field or the operator owns, or whose value should not stand in a pool."""
    adapter = adapter_for(pool.spec.engine.type)
    for index, variable in enumerate(pool.spec.engine.env):
        advice = adapter.owner_of_variable(variable.name)
        if advice is not None:
            yield Violation(
                Reason.OWNED_FLAG,
                f"spec.engine.env[{index}]",
                f"{variable.name} is not to be set here",
                advice,
            )


def chat_template_not_taken(pool: LLMServingPool) -> Iterator[Violation]:
    """The engine's version has no option for a chat template."""
    engine = pool.spec.engine
    adapter = adapter_for(engine.type)
    if engine.chat_template is None or adapter.takes_chat_template(engine.version):
        return
    able = [known for known in adapter.supported_versions if adapter.takes_chat_template(f"{known}.0")]
    yield Violation(
        Reason.INVALID_SPEC,
        "spec.engine.chatTemplate",
        f"{engine.type} {engine.version} takes no chat template",
        f"choose a version of {', '.join(able)}, or a checkpoint with a template of its own",
    )
