from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.validate.policy_names import names_taken_by_policies, policy_names_taken
from support.manifests import pool
from support.policies import policy

if TYPE_CHECKING:
    from mixserve.api.routing_policy import RoutingPolicy

OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def taken(one: RoutingPolicy, *others: object) -> list[tuple[str, str]]:
    pools = [other for other in others if other.kind == "LLMServingPool"]  # type: ignore[attr-defined]
    policies = [other for other in others if other.kind == "RoutingPolicy"]  # type: ignore[attr-defined]
    return [(found.field_path, found.cause) for found in policy_names_taken(one, pools=pools, policies=policies)]  # type: ignore[arg-type]


def test_a_policy_has_its_names_where_nobody_else_wants_them() -> None:
    assert taken(policy("auto"), pool(name="chat"), policy("other")) == []


def test_the_older_pool_has_the_name() -> None:
    young = policy("auto", created=YOUNG, servedNames=["free", "chat"])
    assert taken(young, pool(name="chat", created=OLD)) == [
        ("spec.servedNames[1]", "the pool chat answers for the model name chat, and is older")
    ]


def test_the_name_of_the_object_counts_where_none_is_given() -> None:
    young = policy("chat", created=YOUNG)
    [(path, cause)] = taken(young, policy("first", created=OLD, servedNames=["chat"]))
    assert (path, cause) == ("metadata.name", "the policy first answers for the model name chat, and is older")


def test_a_younger_one_takes_nothing() -> None:
    old = policy("auto", created=OLD, servedNames=["chat"])
    assert taken(old, pool(name="chat", created=YOUNG), policy("other", created=YOUNG, servedNames=["chat"])) == []


def test_of_one_age_pools_come_first_and_then_the_alphabet() -> None:
    one = policy("b", servedNames=["x"])
    assert taken(one, pool(name="z", servedNames=["x"])) == [
        ("spec.servedNames[0]", "the pool z answers for the model name x")
    ]
    assert len(taken(one, policy("a", servedNames=["x"]))) == 1
    assert taken(one, policy("c", servedNames=["x"])) == []


def test_of_several_the_oldest_is_named() -> None:
    young = policy("auto", created=YOUNG, servedNames=["x"])
    older = policy("older", created="2026-01-15T00:00:00Z", servedNames=["x"])
    [(_, cause)] = taken(young, older, pool(name="oldest", created=OLD, servedNames=["x"]))
    assert "the pool oldest" in cause


def test_a_pool_loses_a_name_to_an_older_policy_only() -> None:
    young = pool(name="chat", created=YOUNG)
    [found] = names_taken_by_policies(young, [policy("auto", created=OLD, servedNames=["chat"])])
    assert (found.reason, found.field_path) == (Reason.SERVED_NAME_TAKEN, "metadata.name")
    assert found.remedy == "give this pool another name in spec.servedNames, or take the name from the policy auto"
    old = pool(name="chat", created=OLD)
    assert list(names_taken_by_policies(old, [policy("auto", created=YOUNG, servedNames=["chat"])])) == []
