"""The gateway of a namespace, from the manifests of an example to the answers of its engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from support.gateways import client_of, gateway_urls, wait_for_policy
from support.namespaces import new_namespace
from support.policies import policy_manifest
from support.pool_sandbox import PoolSandbox
from support.waiting import eventually

if TYPE_CHECKING:
    from mixserve_devcluster.cluster import Cluster

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[2] / "examples" / "routing"
HARD = (
    "Prove that for every prime p greater than 3 the number p^2 - 1 is divisible by 24, then generalise the statement "
    "to p^2 - q^2 for two such primes, and give a counterexample where the generalisation fails without primality."
)


def test_requests_go_to_the_cheapest_pool_that_is_good_enough(sandbox: PoolSandbox) -> None:
    sandbox.apply(
        manifest for file in sorted(EXAMPLE.glob("*.yaml")) for manifest in yaml.safe_load_all(file.read_text())
    )
    wait_for_policy(sandbox, "auto")
    for url in gateway_urls(sandbox):
        client = client_of(url)
        assert {model.id for model in client.models.list()} == {"auto", "small", "mid", "large"}
        named = client.chat.completions.create(model="mid", messages=[{"role": "user", "content": "Hi"}], max_tokens=3)
        assert named.model == "mid"
        easy = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": "Hi"}], max_tokens=3
        )
        assert easy.headers["x-mixserve-pool"] == "small"
        assert easy.parse().usage.completion_tokens == 3
        able = client.chat.completions.with_raw_response.create(
            model="auto",
            messages=[{"role": "user", "content": "Hi"}],
            max_tokens=3,
            extra_headers={"x-mixserve-tier": "large"},
        )
        assert able.headers["x-mixserve-pool"] == "large"
        hard = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": HARD}], max_tokens=3
        )
        assert int(hard.headers["x-mixserve-complexity"]) > int(easy.headers["x-mixserve-complexity"])


@pytest.mark.usefixtures("installation")
def test_a_namespace_that_is_deleted_waits_for_nobody_where_no_request_is_under_way(gpu_cluster: Cluster) -> None:
    sandbox = PoolSandbox(gpu_cluster, new_namespace(gpu_cluster))
    pool = next(yaml.safe_load_all((EXAMPLE / "pools.yaml").read_text()))
    sandbox.apply([pool, policy_manifest(large="small")])
    wait_for_policy(sandbox, "auto")
    sandbox.kubectl("delete", "namespace", sandbox.namespace, "--wait=false")
    # Engines and gateways may take ten minutes, if they have something to finish.
    eventually(lambda: not sandbox.kubectl("get", "pods", "--output", "name"), "end of all pods", 60.0)
    # As docs/troubleshooting.md says: Kubernetes looks again after half of these ten minutes, or when somebody asks.
    sandbox.kubectl("annotate", "namespace", sandbox.namespace, "look=again")
    left = ("get", "namespace", sandbox.namespace, "--ignore-not-found", "--output", "name")
    eventually(lambda: not sandbox.kubectl(*left), "end of the namespace", 60.0)
