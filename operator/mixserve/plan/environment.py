"""The environment of the engine's container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.engines.drain import ADDRESS_VARIABLE
from mixserve.engines.registry import adapter_for
from mixserve.engines.variables import hub_cache_variables

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.engines.protocol import Launch


def fetching_environment(pool: LLMServingPool, launch: Launch) -> list[dict[str, Any]]:
    """The variables of what fetches from the hub before the engine starts: the cache, the pool's own, the token."""
    adapter = adapter_for(pool.spec.engine.type)
    values = {**hub_cache_variables(launch), **{entry.name: entry.value for entry in pool.spec.engine.env}}
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        *_token(pool, adapter.token_variable),
    ]


def environment(pool: LLMServingPool, launch: Launch) -> list[dict[str, Any]]:
    """What the operator sets, then what the pool adds, then the token; of a name that both set, the pool's value."""
    adapter = adapter_for(pool.spec.engine.type)
    values = {**adapter.environment(launch), **{entry.name: entry.value for entry in pool.spec.engine.env}}
    variables: list[dict[str, Any]] = [
        {"name": ADDRESS_VARIABLE, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        *({"name": name, "value": value} for name, value in values.items()),
    ]
    return [*variables, *(_token(pool, adapter.token_variable) if launch.downloads else ())]


def _token(pool: LLMServingPool, variable: str) -> list[dict[str, Any]]:
    secret = pool.spec.model.token_secret_ref
    if secret is None:
        return []
    reference = {"name": secret.name, "key": secret.key}
    return [{"name": variable, "valueFrom": {"secretKeyRef": reference}}]
