"""The few shapes that Envoy's resources are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Resource = dict[str, Any]
"""A resource or a part of one, in the JSON form of Envoy's protocol buffers."""

NAMESPACE = "mixserve"
"""Of the dynamic metadata of a request: what the module reads from it, what was decided, and what the answer used."""

_TYPES = "type.googleapis.com/envoy."


def typed(kind: str, **config: Any) -> Resource:
    """A configuration that says what it is; `kind` without the leading "envoy."."""
    return {"@type": _TYPES + kind, **config}


def extension(name: str, kind: str, **config: Any) -> Resource:
    """An extension under its name."""
    return {"name": name, "typed_config": typed(kind, **config)}


def tcp(address: str, port: int) -> Resource:
    """An address that is listened at or connected to."""
    return {"socket_address": {"address": address, "port_value": port}}


def metadata_is(key: str, value: str) -> Resource:
    """A condition of a route or filter: the request's metadata has this value."""
    return {"filter": NAMESPACE, "path": [{"key": key}], "value": {"string_match": {"exact": value}}}


def metadata_is_one_of(key: str, values: Sequence[str]) -> Resource:
    """A condition of a route: the request's metadata has one of these values, of which there is at least one."""
    if len(values) == 1:  # Envoy takes no choice of one
        return metadata_is(key, values[0])
    matchers = [{"string_match": {"exact": value}} for value in values]
    return {"filter": NAMESPACE, "path": [{"key": key}], "value": {"or_match": {"value_matchers": matchers}}}


def metadata_is_said(key: str) -> Resource:
    """A condition of a filter: the request's metadata has a text that is not empty."""
    return {"filter": NAMESPACE, "path": [{"key": key}], "value": {"string_match": {"safe_regex": {"regex": "(?s).+"}}}}


def metadata_has(key: str) -> Resource:
    """A condition of a route or filter: the request's metadata has a value under this key."""
    return {"filter": NAMESPACE, "path": [{"key": key}], "value": {"present_match": True}}


def metadata_lacks(key: str) -> Resource:
    """The opposite."""
    return {**metadata_has(key), "invert": True}


def from_metadata(key: str) -> str:
    """The value of the request's metadata in a header, a text or a log line."""
    return f"%DYNAMIC_METADATA({NAMESPACE}:{key})%"


def header(name: str, value: str) -> Resource:
    """A header to add, in place of one of that name."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
