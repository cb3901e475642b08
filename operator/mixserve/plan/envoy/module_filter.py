"""Mixserve's own module in Envoy (`mixserve.envoy_module`): filters for requests and tries, connections to engines.

The filter for requests reads models' names and used tokens, and asks for decisions. Without the module's connections it
could not end a stream whose engine fails: Envoy would reset it. The filter for tries holds headers back until there is
something of the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.envoy.openai_errors import BROKEN_OFF
from mixserve.plan.envoy.resources import Resource, extension, typed

if TYPE_CHECKING:
    from mixserve.plan.envoy.settings import EnvoySettings
    from mixserve.route.table import PolicyEntry, PoolEntry

NAME = "mixserve"

DECISION_PATH = "/decide/"
"""Below it the gateway's process is asked: policy/NAME or pool/NAME."""


def module_filter(settings: EnvoySettings) -> Resource:
    """The filter that each request of a client passes through."""
    return _filter(NAME, settings, filter_config=_text(BROKEN_OFF))


def try_filter(settings: EnvoySettings) -> Resource:
    """The filter that each try of a request passes through at an engine's cluster."""
    return _filter("try", settings)


def _filter(name: str, settings: EnvoySettings, **config: Resource) -> Resource:
    return extension(
        name,
        "extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
        dynamic_module_config=_module(settings),
        filter_name=name,
        **config,
    )


def engine_socket(settings: EnvoySettings) -> Resource:
    """How engines are connected to: without encryption, and so that the end of a connection comes to the filter."""
    return extension(
        NAME,
        "extensions.transport_sockets.dynamic_modules.v3.DynamicModuleTransportSocket",
        dynamic_module_config=_module(settings),
        transport_socket_name=NAME,
    )


def _module(settings: EnvoySettings) -> Resource:
    # Envoy would load it anew, with other variables, where no listener and no cluster names it for a moment.
    return {"module": {"local": {"filename": settings.module_path}}, "do_not_close": True}


def without_filter() -> dict[str, Resource]:
    """For routes whose requests are not for an engine."""
    return {NAME: typed("config.route.v3.FilterConfig", disabled=True)}


def asks_for_target(policy: PolicyEntry, settings: EnvoySettings) -> dict[str, Resource]:
    """For routes of a policy's requests; one that is not decided in time gets 503."""
    classifier_s = policy.classifier_timeout_s if policy.classifier_pool is not None else 0.0
    return _asks(f"policy/{policy.name}", settings, timeout_s=settings.decision_timeout_s + classifier_s)


def asks_for_replica(pool: PoolEntry, settings: EnvoySettings) -> dict[str, Resource]:
    """For routes of requests that name the pool; where nobody chooses in time the load balancer does."""
    return _asks(f"pool/{pool.name}", settings, timeout_s=settings.picking_timeout_s)


def _asks(what: str, settings: EnvoySettings, *, timeout_s: float) -> dict[str, Resource]:
    return {
        NAME: typed(
            "extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
            dynamic_module_config=_module(settings),
            filter_name=NAME,
            filter_config=_text(f"{round(timeout_s * 1000)}\n{DECISION_PATH}{what}"),
        )
    }


def _text(value: str) -> Resource:
    return {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value}
