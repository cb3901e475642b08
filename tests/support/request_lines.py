"""Lines of Envoy's request log."""

from __future__ import annotations

import json
from typing import Any

_SEEN = ("model", "policy", "tier", "cause", "complexity")
_USAGE = ("prompt_tokens", "completion_tokens")


def request_line(**fields: Any) -> str:
    """A line, of which each field stands where Envoy writes it."""
    seen = {**fields.pop("seen", {}), **{name: fields.pop(name) for name in _SEEN if name in fields}}
    usage = {name: fields.pop(name) for name in _USAGE if name in fields}
    if "cached_tokens" in fields:
        usage["prompt_tokens_details"] = {"cached_tokens": fields.pop("cached_tokens")}
    if usage:
        seen["usage"] = json.dumps(usage)
    return json.dumps({**fields, "seen": seen or None})
