"""Which request goes where: by path, then by the model's name, then by what was decided."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from mixserve.api.engine import Task
from mixserve.api.pool import RoutingStrategy
from mixserve.plan.envoy.chains import Chain, chains
from mixserve.plan.envoy.module_filter import asks_for_replica, asks_for_target, without_filter
from mixserve.plan.envoy.openai_errors import CORS_HEADERS, UNKNOWN_MODEL, WRONG_TASK
from mixserve.plan.envoy.resources import (
    Resource,
    extension,
    from_metadata,
    header,
    metadata_is,
    metadata_is_one_of,
    metadata_lacks,
    typed,
)
from mixserve.plan.envoy.retries import ATTEMPTS_OF_A_POOL, retry_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.plan.envoy.settings import EnvoySettings
    from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable

NAME = "routes"
"""Of the route configuration that the listeners ask for."""

_PATHS_OF = {Task.GENERATE: ("/v1/chat/completions", "/v1/completions"), Task.EMBED: ("/v1/embeddings",)}
ENGINE_PATHS = tuple(path for paths in _PATHS_OF.values() for path in paths)
"""What engines are asked at."""

_LONGEST_ANSWER_BYTES = 2**20
"""The list of models is an answer of Envoy's own, which may have 4 KiB by default."""

OVERRIDE_HEADERS = ("x-mixserve-tier", "x-mixserve-pool", "x-mixserve-session")
"""What a request may wish; Envoy's module reads them."""

_MODELS_PATH = "/v1/models"
_POST = [{"name": ":method", "string_match": {"exact": "POST"}}]
_GET = [{"name": ":method", "string_match": {"exact": "GET"}}]
_OPTIONS = [{"name": ":method", "string_match": {"exact": "OPTIONS"}}]
_DECIDED = ("policy", "tier", "complexity", "cause", "reason")
_POOL = header("x-mixserve-pool", "%UPSTREAM_CLUSTER%")
_JSON = header("content-type", "application/json")


def route_configuration(table: RoutingTable, settings: EnvoySettings) -> Resource:
    """All routes of a namespace, of which Envoy takes the first that fits.

    It looks up to three times: before the body is read, when the model's name is known, and when a decision is made.
    """
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": NAME,
        "max_direct_response_body_size_bytes": _LONGEST_ANSWER_BYTES,
        "virtual_hosts": [
            {
                "name": "models",
                "domains": ["*"],
                # Those first that most requests take, since each is tried in turn.
                "routes": [
                    *_unread(),
                    *_wrong_task(table),
                    *_by_model(table, settings),
                    *_own_answers(table),
                    *_unknown(),
                ],
                "response_headers_to_add": list(CORS_HEADERS),
                # They have done their work, and engines refuse what is too long.
                "request_headers_to_remove": list(OVERRIDE_HEADERS),
                "include_attempt_count_in_response": True,
                # What is sent again has to be kept.
                "request_body_buffer_limit": settings.largest_request_bytes,
            }
        ],
    }


def _unread() -> Iterator[Resource]:
    """Where requests stand until their body has been read."""
    for path in ENGINE_PATHS:
        match = {"path": path, "headers": _POST, "dynamic_metadata": [metadata_lacks("model")]}
        yield {"match": match, "direct_response": _text(400, _NO_OBJECT)}


def _wrong_task(table: RoutingTable) -> Iterator[Resource]:
    """Refusals of models at paths of another task, where engines would answer that there is no such address.

    Of all models together, so that no model's requests have to pass by more than one for their path.
    """
    for task, paths in _PATHS_OF.items():
        names = _only_for(task, table)
        for path in ENGINE_PATHS if names else ():
            if path not in paths:
                match = {"path": path, "dynamic_metadata": [metadata_is_one_of("model", names)]}
                yield {"match": match, "direct_response": _text(400, WRONG_TASK.format(paths=" and ".join(paths)))}


def _only_for(task: Task, table: RoutingTable) -> list[str]:
    """Names of models that do nothing else; of a policy all targets that exist count, whether they are ready or not."""
    tasks = {pool.name: pool.task for pool in table.pools}
    names = [name for pool in table.pools if pool.task is task for name in pool.served_names]
    for policy in table.policies:
        targets = {tasks.get(target.pool) for tier in policy.tiers for target in tier.targets}
        names += policy.served_names if targets - {None} == {task} else ()
    return names


def _own_answers(table: RoutingTable) -> Iterator[Resource]:
    yield from _preflight()
    yield from _models(table)
    for path in ENGINE_PATHS:
        yield _own_answer({"path": path, "headers": _not(_POST)}, 405, "This address takes POST requests.")


def _by_model(table: RoutingTable, settings: EnvoySettings) -> Iterator[Resource]:
    for pool in table.pools:
        for name in pool.served_names:
            yield _pool_route(name, pool, settings)
    for one in chains(table):
        yield _chain_route(one, table)
    for policy in table.policies:
        yield from _unknown_chain(policy, table)
        for name in policy.served_names:
            yield _undecided(name, policy, settings)


def _pool_route(name: str, pool: PoolEntry, settings: EnvoySettings) -> Resource:
    route = {
        "match": _named(name),
        "route": {"cluster": pool.name, "timeout": "0s", "retry_policy": retry_policy(attempts=ATTEMPTS_OF_A_POOL)},
        "response_headers_to_add": [_POOL],
    }
    # If nobody decides, the load balancer does.
    if pool.strategy is RoutingStrategy.LEAST_LOAD:
        return route
    return {**route, "typed_per_filter_config": asks_for_replica(pool, settings)}


def _unknown_chain(policy: PolicyEntry, table: RoutingTable) -> Iterator[Resource]:
    """For a decision that names a chain which Envoy does not have yet, or no more: it learns of edits a bit later."""
    usable = [one for one in chains(table) if one.policy is policy and one.attempts]
    for one in usable[-1:]:  # of the ablest tier, which is good enough for whatever was decided
        route = _chain_route(one, table)
        yield route | {"match": {"prefix": "/", "dynamic_metadata": [metadata_is("policy", policy.name)]}}


def _chain_route(one: Chain, table: RoutingTable) -> Resource:
    match = {"prefix": "/", "dynamic_metadata": [metadata_is("chain", one.name)]}
    decided = [header(f"x-mixserve-{key}", from_metadata(key)) for key in _DECIDED]
    action = {"route": _attempts(one, table)} if one.attempts else {"direct_response": _text(503, _NO_TARGET)}
    added = [*decided, _POOL] if one.attempts else decided
    return {"match": match, "response_headers_to_add": added, **action}


_NO_TARGET = "No pool of the policy takes requests at the moment."


def _attempts(one: Chain, table: RoutingTable) -> Resource:
    """Each attempt has a group of its own, of one pool."""
    groups = [
        {"name": str(number), "clusters": [{"cluster_name": pool, "weight": 1}]}
        for number, pool in enumerate(one.attempts, start=1)
    ]
    plugin = extension(
        "envoy.router.cluster_specifier_plugin.priority_group",
        "extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier",
        priority_groups=groups,
    )
    retries = retry_policy(attempts=len(one.attempts), when=one.policy.fallback_when)
    return {
        "inline_cluster_specifier_plugin": {"extension": plugin},
        "timeout": "0s",
        # Whose limits count (`clusters`).
        "priority": "HIGH",
        **({"retry_policy": retries} if one.policy.fallback_when else {}),
        **_shadow(one.policy, table),
    }


def _shadow(policy: PolicyEntry, table: RoutingTable) -> Resource:
    shadow = policy.shadow
    if shadow is None or table.pool(shadow.pool) is None:
        return {}
    share = {"default_value": {"numerator": shadow.percent, "denominator": "HUNDRED"}}
    return {"request_mirror_policies": [{"cluster": shadow.pool, "runtime_fraction": share}]}


def _undecided(name: str, policy: PolicyEntry, settings: EnvoySettings) -> Resource:
    """Where a policy's request stands until it has been decided upon; it stays here if nobody decides."""
    message = "The gateway cannot decide at the moment where the request goes."
    return {
        "match": _named(name),
        "direct_response": _text(503, message),
        "typed_per_filter_config": asks_for_target(policy, settings),
    }


def _unknown() -> Iterator[Resource]:
    for state, message in _UNREADABLE.items():
        match = {"prefix": "/", "dynamic_metadata": [metadata_is("state", state)]}
        yield {"match": match, "direct_response": _text(400, message)}
    for path in ENGINE_PATHS:
        yield {"match": {"path": path}, "direct_response": _text(404, UNKNOWN_MODEL)}
    yield _own_answer({"prefix": "/"}, 404, _NO_SUCH_ADDRESS)


_NO_SUCH_ADDRESS = f"There is nothing at this address, only {', '.join(ENGINE_PATHS)} and {_MODELS_PATH}."
_NO_OBJECT = "The body of the request is no JSON object."
_UNREADABLE = {
    "broken": _NO_OBJECT,
    "nameless": "The request names no model.",
}


def _preflight() -> Iterator[Resource]:
    """A browser's question whether a page may send the request: it may."""
    allowed = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "%REQ(access-control-request-headers)%",
        "access-control-max-age": "86400",
    }
    answer = _own_answer({"prefix": "/", "headers": _OPTIONS}, 204)
    yield answer | {"response_headers_to_add": [header(name, value) for name, value in allowed.items()]}


def _models(table: RoutingTable) -> Iterator[Resource]:
    names = [name for pool in table.pools for name in pool.served_names]
    names += [name for policy in table.policies for name in policy.served_names]
    models = {name: {"id": name, "object": "model", "created": 0, "owned_by": "mixserve"} for name in sorted(names)}
    everything = {"object": "list", "data": list(models.values())}
    yield _json_answer({"path": _MODELS_PATH, "headers": _GET}, everything)
    for name, model in models.items():
        yield _json_answer({"path": f"{_MODELS_PATH}/{quote(name, safe='/:@')}", "headers": _GET}, model)


def _json_answer(match: Resource, value: Resource) -> Resource:
    return _own_answer(match, 200, json.dumps(value)) | {"response_headers_to_add": [_JSON]}


def _own_answer(match: Resource, status: int, text: str | None = None) -> Resource:
    """A route that no body is read for."""
    answer = {"status": status} if text is None else {"status": status, "body": {"inline_string": text}}
    return {"match": match, "direct_response": answer, "typed_per_filter_config": {**without_filter(), **_UNBUFFERED}}


_UNBUFFERED = {"envoy.filters.http.buffer": typed("extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True)}


def _text(status: int, text: str) -> Resource:
    return {"status": status, "body_format": {"text_format_source": {"inline_string": text}}}


def _named(name: str) -> Resource:
    return {"prefix": "/", "dynamic_metadata": [metadata_is("model", name)]}


def _not(headers: list[Resource]) -> list[Resource]:
    return [{**one, "invert_match": True} for one in headers]
