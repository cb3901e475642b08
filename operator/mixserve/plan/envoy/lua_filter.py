"""The filter that reads models' names and used tokens, and asks for decisions; its program is gateway.lua."""

from __future__ import annotations

from functools import cache
from importlib import resources

from mixserve.plan.envoy.resources import Resource, extension, typed

NAME = "envoy.filters.http.lua"


@cache
def _program() -> str:
    return (resources.files(__package__) / "gateway.lua").read_text()


def lua_filter(*, decision_timeout_s: float) -> Resource:
    """The filter; a decision that takes longer is as none."""
    text = f"local TIMEOUT_MS = {round(decision_timeout_s * 1000)}\n{_program()}"
    return extension(NAME, "extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": text})


def without_lua() -> dict[str, Resource]:
    """For routes whose requests are not for an engine."""
    return {NAME: typed("extensions.filters.http.lua.v3.LuaPerRoute", disabled=True)}


def asks(kind: str, name: str) -> Resource:
    """Metadata of a route whose requests need a decision; `kind` is "policy" or "pool"."""
    return {"filter_metadata": {NAME: {"ask": kind, "name": name}}}
