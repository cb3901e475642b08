"""Models are refused at paths of another task, in few routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.engine import Task
from mixserve.plan.envoy.routes import ENGINE_PATHS, route_configuration
from mixserve.plan.envoy.settings import EnvoySettings
from support.tables import policy, pool, table

if TYPE_CHECKING:
    from mixserve.route.table import PolicyEntry, PoolEntry

CHAT, COMPLETIONS, EMBEDDINGS = ENGINE_PATHS


def refused(*entries: PoolEntry | PolicyEntry) -> dict[str, list[str]]:
    """By path, the models that are refused there; each path has one route at most."""
    [host] = route_configuration(table(*entries), EnvoySettings(directory="/run"))["virtual_hosts"]
    found = {}
    for route in host["routes"]:
        text = route.get("direct_response", {}).get("body_format", {}).get("text_format_source", {})
        if "is not for this address" in text.get("inline_string", ""):
            assert route["match"]["path"] not in found
            [condition] = route["match"]["dynamic_metadata"]
            value = condition["value"]
            choices = value["or_match"]["value_matchers"] if "or_match" in value else [value]
            found[route["match"]["path"]] = [each["string_match"]["exact"] for each in choices]
    return found


def test_each_pool_is_refused_where_it_has_nothing() -> None:
    vectors = pool("vectors", served_names=("vectors", "org/vectors"), task=Task.EMBED)
    embedding = ["vectors", "org/vectors"]
    assert refused(pool("small"), vectors, pool("large")) == {
        EMBEDDINGS: ["small", "large"],
        CHAT: embedding,
        COMPLETIONS: embedding,
    }


def test_pools_of_one_task_need_one_route() -> None:
    assert refused(pool("small"), pool("large")) == {EMBEDDINGS: ["small", "large"]}


def test_without_pools_nothing_is_refused() -> None:
    assert refused(policy("auto", ("gone",))) == {}


def test_policies_have_what_their_targets_have() -> None:
    entries = (
        pool("text"),
        pool("vectors", task=Task.EMBED),
        policy("texts", ("text",), ("gone",)),
        policy("embed", ("vectors", "gone")),
        policy("both", ("text",), ("vectors",)),
        policy("none", ("gone",)),
    )
    embedding = ["vectors", "embed"]
    assert refused(*entries) == {EMBEDDINGS: ["text", "texts"], CHAT: embedding, COMPLETIONS: embedding}
