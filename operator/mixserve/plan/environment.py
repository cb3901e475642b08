"""The environment of the engine's container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.engines.drain import ADDRESS_VARIABLE
from mixserve.engines.registry import adapter_for

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.engines.protocol import Launch


def environment(pool: LLMServingPool, launch: Launch) -> list[dict[str, Any]]:
    """What the operator sets, then what the pool adds, then the token; of a name that both set, the pool's value."""
    adapter = adapter_for(pool.spec.engine.type)
    values = {**adapter.environment(launch), **{entry.name: entry.value for entry in pool.spec.engine.env}}
    variables: list[dict[str, Any]] = [
        {"name": ADDRESS_VARIABLE, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        *({"name": name, "value": value} for name, value in values.items()),
    ]
    secret = pool.spec.model.token_secret_ref
    if secret is not None and launch.downloads:
        reference = {"name": secret.name, "key": secret.key}
        variables.append({"name": adapter.token_variable, "valueFrom": {"secretKeyRef": reference}})
    return variables
