"""Mixserve's own module in Envoy (`mixserve.envoy_module`): a filter for requests, and the connections to engines.

The filter reads models' names and used tokens, and asks for decisions. Without the connections it could not end a
stream whose engine fails: Envoy would reset it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.envoy.openai_errors import BROKEN_OFF
from mixserve.plan.envoy.resources import Resource, extension, typed

if TYPE_CHECKING:
    from mixserve.plan.envoy.settings import EnvoySettings

NAME = "mixserve"


def module_filter(settings: EnvoySettings) -> Resource:
    """The filter; a decision that takes longer than `decision_timeout_s` is as none."""
    return extension(
        NAME,
        "extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
        dynamic_module_config=_module(settings),
        filter_name=NAME,
        filter_config=_text(f"{round(settings.decision_timeout_s * 1000)}\n{BROKEN_OFF}"),
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


def asks(kind: str, name: str, settings: EnvoySettings) -> dict[str, Resource]:
    """For routes whose requests need a decision; `kind` is "policy" or "pool"."""
    return {
        NAME: typed(
            "extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
            dynamic_module_config=_module(settings),
            filter_name=NAME,
            filter_config=_text(f"/decide/{kind}/{name}"),
        )
    }


def _text(value: str) -> Resource:
    return {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value}
