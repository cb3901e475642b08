"""A decision may be newer, or older, than the routes that Envoy has."""

from __future__ import annotations

import pytest

from mixserve.api.pool import RoutingStrategy
from mixserve.plan.envoy.resources import metadata_is
from mixserve.plan.envoy.routes import route_configuration
from mixserve.plan.envoy.settings import EnvoySettings
from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable, TargetEntry, TierEntry


def tier(name: str, most: int) -> TierEntry:
    return TierEntry(name=name, max_complexity=most, targets=(TargetEntry(pool=name, priority=0, weight=1),))


def pools_of_unknown_chains(**endpoints: tuple[str, ...]) -> list[list[str]]:
    """Pools of the routes for chains that Envoy does not know, for a policy of a small and a large tier."""
    pools = tuple(
        PoolEntry(name=name, served_names=(name,), strategy=RoutingStrategy.LEAST_LOAD, endpoints=each)
        for name, each in sorted(endpoints.items())
    )
    policy = PolicyEntry(name="auto", served_names=("auto",), tiers=(tier("small", 2), tier("large", 5)))
    table = RoutingTable(namespace="llm", pools=pools, policies=(policy,))
    [host] = route_configuration(table, EnvoySettings(directory="/run"))["virtual_hosts"]
    found = [
        each for each in host["routes"] if each["match"].get("dynamic_metadata") == [metadata_is("policy", "auto")]
    ]
    plugins = [each["route"]["inline_cluster_specifier_plugin"]["extension"]["typed_config"] for each in found]
    return [[group["clusters"][0]["cluster_name"] for group in each["priority_groups"]] for each in plugins]


@pytest.mark.parametrize(
    ("endpoints", "pools"),
    [
        ({"small": ("10.0.0.1:8000",), "large": ("10.0.0.2:8000",)}, [["large"]]),
        ({"small": ("10.0.0.1:8000",), "large": ()}, [["small"]]),
        ({"small": (), "large": ()}, []),
    ],
)
def test_they_go_to_the_ablest_pool_that_takes_requests(
    endpoints: dict[str, tuple[str, ...]], pools: list[list[str]]
) -> None:
    assert pools_of_unknown_chains(**endpoints) == pools
