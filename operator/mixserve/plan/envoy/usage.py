"""How the tokens that an answer took are read inside Envoy, so that no chunk of a stream passes through Python."""

from __future__ import annotations

from mixserve.plan.envoy.resources import NAMESPACE, Resource, extension

_LARGEST_EVENT_BYTES = 2**20
"""Of a stream: a chunk with log probabilities of many tokens is long. A longer one is passed on unread."""

_PATHS = {
    "prompt_tokens": ("usage", "prompt_tokens"),
    "completion_tokens": ("usage", "completion_tokens"),
    "cached_tokens": ("usage", "prompt_tokens_details", "cached_tokens"),
}


def usage_filters() -> list[Resource]:
    """One filter for streams, which keeps what it saw last, and one for plain answers."""
    rules = [_rule(name, path) for name, path in _PATHS.items()]
    parser = extension(
        "envoy.content_parsers.json",
        "extensions.content_parsers.json.v3.JsonContentParser",
        rules=[{"rule": rule} for rule in rules],
    )
    return [
        extension(
            "envoy.filters.http.sse_to_metadata",
            "extensions.filters.http.sse_to_metadata.v3.SseToMetadata",
            response_rules={"content_parser": parser, "max_event_size": _LARGEST_EVENT_BYTES},
        ),
        extension(
            "envoy.filters.http.json_to_metadata",
            "extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
            response_rules={"rules": rules, "allow_content_types_regex": {"regex": "application/json.*"}},
        ),
    ]


def _rule(name: str, path: tuple[str, ...]) -> Resource:
    return {
        "selectors": [{"key": key} for key in path],
        "on_present": {"metadata_namespace": NAMESPACE, "key": name, "type": "NUMBER"},
    }
