"""RoutingPolicies: their gateway comes with the first, is repaired, and goes with the last; their status says all."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.gateway_names import WEB_PORT
from mixserve.api.names import LABEL_GATEWAY
from support.operator_numbers import writes
from support.policies import policy_manifest
from support.pool_manifests import pool
from support.pool_questions import find, get, wait_for_condition
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.installation import Installation
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration

OBJECTS = "serviceaccounts,roles,rolebindings,services,deployments,poddisruptionbudgets"
KINDS = {"ServiceAccount", "Role", "RoleBinding", "Service", "Deployment", "PodDisruptionBudget"}


def gateway(sandbox: PoolSandbox, kinds: str = OBJECTS) -> list[dict[str, Any]]:
    listed = sandbox.kubectl("get", kinds, "--selector", f"{LABEL_GATEWAY}=true", "--output", "json")
    return list(json.loads(listed)["items"])


def status(sandbox: PoolSandbox, name: str = "auto") -> dict[str, Any]:
    return dict(get(sandbox, "rp", name).get("status", {}))


def wait_for(sandbox: PoolSandbox, kind: str, value: str, reason: str, name: str = "auto") -> dict[str, Any]:
    """Wait for a condition of a policy; returns its status."""

    def look() -> dict[str, Any]:
        seen = status(sandbox, name)
        found = [each for each in seen.get("conditions", ()) if each["type"] == kind]
        return seen if [(each["status"], each["reason"]) for each in found] == [(value, reason)] else {}

    return eventually(look, f"{kind} {value} {reason} of {name}", 120.0)


def message(seen: dict[str, Any], kind: str) -> str:
    return next(str(each["message"]) for each in seen["conditions"] if each["type"] == kind)


@pytest.fixture
def routed(sandbox: PoolSandbox) -> PoolSandbox:
    """A policy with two pools, all of it ready."""
    sandbox.apply([pool("small"), pool("large"), policy_manifest()])
    wait_for(sandbox, "Ready", "True", "Ready")
    return sandbox


def test_the_gateway_comes_with_the_first_policy_and_goes_with_the_last(sandbox: PoolSandbox) -> None:
    # Its pods are such as the strictest of Kubernetes' standards lets in.
    sandbox.kubectl("label", "namespace", sandbox.namespace, "pod-security.kubernetes.io/enforce=restricted")
    sandbox.apply([policy_manifest("first")])
    eventually(lambda: {each["kind"] for each in gateway(sandbox)} == KINDS, "gateway")
    eventually(lambda: len(gateway(sandbox, "pods")) == 2, "pods")
    sandbox.apply([policy_manifest("second", servedNames=["other"])])

    def owners() -> set[str]:
        return {one["name"] for one in get(sandbox, "deployment", "mixserve-gateway")["metadata"]["ownerReferences"]}

    eventually(lambda: owners() == {"first", "second"}, "both owners")
    sandbox.kubectl("delete", "rp", "first")
    eventually(lambda: owners() == {"second"}, "one owner")
    [_] = gateway(sandbox, "replicasets")  # no pod was replaced
    sandbox.kubectl("delete", "rp", "second")
    eventually(lambda: not gateway(sandbox, f"{OBJECTS},pods"), "end of the gateway", 60.0)


def test_it_goes_also_while_no_operator_runs(routed: PoolSandbox, installation: Installation) -> None:
    installation.stop_operator()
    try:
        routed.kubectl("delete", "rp", "auto")
        eventually(lambda: not gateway(routed, f"{OBJECTS},pods"), "end of the gateway", 60.0)
    finally:
        installation.start_operator()


def test_what_lost_its_policies_goes_as_well(routed: PoolSandbox) -> None:
    routed.kubectl("delete", "rp", "auto", "--cascade=orphan")
    eventually(lambda: not gateway(routed), "end of the gateway", 60.0)


def test_what_is_changed_or_deleted_is_repaired(routed: PoolSandbox) -> None:
    routed.kubectl("scale", "deployment", "mixserve-gateway", "--replicas=0")
    routed.kubectl("delete", "service", "mixserve-gateway")
    routed.kubectl("patch", "role", "mixserve-gateway", "--type=merge", "--patch", json.dumps({"rules": []}))
    routed.kubectl("label", "serviceaccount", "mixserve-gateway", f"{LABEL_GATEWAY}-")
    eventually(lambda: get(routed, "deployment", "mixserve-gateway")["spec"]["replicas"] == 2, "replicas")
    eventually(lambda: find(routed, "service", "mixserve-gateway"), "Service")
    eventually(lambda: get(routed, "role", "mixserve-gateway")["rules"], "rules")
    eventually(lambda: {each["kind"] for each in gateway(routed)} == KINDS, "labels")
    said = eventually(
        lambda: routed.kubectl(
            "get", "events", "--field-selector", "reason=Repaired,involvedObject.kind=RoutingPolicy"
        ),
        "events",
    )
    assert "mixserve-gateway" in said


def test_a_name_that_somebody_else_has_is_left_alone_and_told(sandbox: PoolSandbox) -> None:
    sandbox.kubectl("create", "service", "clusterip", "mixserve-gateway", "--tcp=80:80")
    sandbox.apply([policy_manifest()])
    seen = wait_for(sandbox, "Ready", "False", "ApplyFailed")
    assert "exists and does not belong to this namespace's gateway" in message(seen, "Ready")
    sandbox.kubectl("delete", "service", "mixserve-gateway")
    eventually(lambda: {each["kind"] for each in gateway(sandbox)} == KINDS, "gateway", 120.0)


def test_targets_may_come_later_and_the_status_says_how_they_do(sandbox: PoolSandbox) -> None:
    sandbox.apply([policy_manifest()])
    seen = wait_for(sandbox, "TargetsFound", "False", "TargetNotFound")
    assert "there is no LLMServingPool small" in message(seen, "TargetsFound")
    wait_for(sandbox, "Ready", "False", "TargetNotFound")
    sandbox.apply([pool("large")])
    seen = wait_for(sandbox, "Ready", "True", "Ready")  # the larger tier answers for the smaller one
    assert [tier["targets"][0]["health"] for tier in seen["tiers"]] == ["NotFound", "Ready"]
    assert seen["gateway"] == {
        "address": f"http://mixserve-gateway.{sandbox.namespace}.svc",
        "readyReplicas": 2,
    }
    sandbox.apply([pool("small")])
    wait_for(sandbox, "TargetsFound", "True", "TargetsFound")
    seen = eventually(
        lambda: (now := status(sandbox))["tiers"][0]["targets"][0]["health"] == "Ready" and now, "a small pool"
    )
    assert seen["tiers"][0]["targets"] == [{"pool": "small", "health": "Ready", "readyReplicas": 1}]
    header, row = sandbox.kubectl("get", "rp").splitlines()
    assert header.split()[:6] == ["NAME", "CLASSIFIER", "TARGETS", "HEALTHY", "REASON", "ADDRESS"]
    assert row.split()[:5] == ["auto", "Heuristic", "2/2", "True", "Ready"]


def test_a_typo_in_a_target_shows_in_the_column_the_condition_and_one_event(routed: PoolSandbox) -> None:
    def told() -> list[str]:
        listed = routed.kubectl(
            *("get", "events", "--field-selector", "reason=TargetNotFound,involvedObject.kind=RoutingPolicy"),
            *("--output", "json"),
        )
        return [each["type"] + " " + each["message"] for each in json.loads(listed)["items"]]

    routed.apply([policy_manifest(small="smal")])
    seen = wait_for(routed, "TargetsFound", "False", "TargetNotFound")
    found = message(seen, "TargetsFound")
    assert found.startswith("spec.tiers[0].targets[0].poolRef.name: there is no LLMServingPool smal in this namespace")
    assert "did you mean small? " in found
    assert routed.kubectl("get", "rp").splitlines()[1].split()[:5] == ["auto", "Heuristic", "1/2", "True", "Ready"]
    eventually(lambda: told() == [f"Warning TargetsFound is False: {found}"], "an event")
    routed.apply([policy_manifest(small="smal", overrides="Denied"), pool("other")])
    eventually(lambda: status(routed)["observedGeneration"] == 3, "a look at what is the same")
    routed.apply([policy_manifest(small="smaller")])
    eventually(lambda: len(told()) == 2, "an event for another typo")
    routed.apply([policy_manifest()])
    wait_for(routed, "TargetsFound", "True", "TargetsFound")
    assert len(told()) == 2


def test_a_bad_policy_leaves_the_last_valid_one_in_force_also_over_a_restart(
    routed: PoolSandbox, installation: Installation
) -> None:
    def noted() -> dict[str, Any]:
        account = get(routed, "serviceaccount", "mixserve-gateway")
        return dict(json.loads(account["metadata"]["annotations"]["mixserve.dev/last-valid-policies"]))

    uid = get(routed, "rp", "auto")["metadata"]["uid"]
    before = noted()
    routed.apply([policy_manifest(shadow={"poolRef": {"name": "large"}})])
    seen = wait_for(routed, "Ready", "False", "ShadowIsTarget")
    assert "goes on with the last valid spec" in message(seen, "Ready")
    installation.stop_operator()
    installation.start_operator()
    routed.apply([policy_manifest("other", servedNames=["other"])])
    eventually(lambda: len(noted()) == 2, "a note of both")
    assert noted()[uid] == before[uid]
    assert "shadow" not in noted()[uid]
    assert [tier["name"] for tier in status(routed)["tiers"]] == ["small", "large"]
    routed.apply([policy_manifest(shadow={"poolRef": {"name": "other"}})])
    wait_for(routed, "Ready", "True", "Ready")
    eventually(lambda: "shadow" in noted()[uid], "a note of the new one")


def test_a_name_belongs_to_the_older_of_pool_and_policy(sandbox: PoolSandbox) -> None:
    sandbox.apply([policy_manifest("first", servedNames=["model"])])
    wait_for(sandbox, "TargetsFound", "False", "TargetNotFound", name="first")
    eventually(lambda: len(gateway(sandbox)) == len(KINDS), "gateway")
    # Ages are in whole seconds, and of one second pools come first.
    created = get(sandbox, "rp", "first")["metadata"]["creationTimestamp"]

    def apply_a_younger() -> bool:
        sandbox.kubectl("delete", "lsp", "model", "--ignore-not-found")
        sandbox.apply([pool("model")])
        return bool(get(sandbox, "lsp", "model")["metadata"]["creationTimestamp"] > created)

    eventually(apply_a_younger, "a younger pool")
    found = wait_for_condition(sandbox, "model", "Validated", status="False", reason="ServedNameTaken")
    assert "the policy first answers for the model name model" in found["message"]
    sandbox.kubectl("delete", "rp", "first")
    sandbox.wait_until_ready("model")
    sandbox.apply([policy_manifest("second", servedNames=["free", "model"])])
    seen = wait_for(sandbox, "Validated", "False", "ServedNameTaken", name="second")
    assert "spec.servedNames[1]: the pool model answers" in message(seen, "Validated")


class Counts(http.server.BaseHTTPRequestHandler):
    """A gateway that has sent three of four requests to the small pool."""

    def do_GET(self) -> None:
        page = "# TYPE mixserve_gateway_requests_total counter\n" + "".join(
            f'mixserve_gateway_requests_total{{policy="auto",tier="{tier}",pool="{tier}",code="{code}"}} {count}\n'
            for tier, code, count in (("small", 200, 75.0), ("large", 200, 25.0), ("large", 503, 900.0))
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def counting(routed: PoolSandbox) -> Iterator[PoolSandbox]:
    """Both gateways count."""
    servers = []
    for pod in gateway(routed, "pods"):
        server = http.server.ThreadingHTTPServer((pod["status"]["podIP"], WEB_PORT), Counts)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    yield routed
    for server in servers:
        server.shutdown()
        server.server_close()


def test_shares_are_those_that_the_gateways_count(counting: PoolSandbox, installation: Installation) -> None:
    def shares() -> list[Any]:
        return [tier["targets"][0].get("sharePercent") for tier in status(counting)["tiers"]]

    eventually(lambda: shares() == [75, 25], "shares", 60.0)
    before = get(counting, "rp", "auto")
    installation.stop_operator()
    installation.start_operator()
    eventually(lambda: "serviceaccounts" not in writes(installation), "an operator that looks", 10.0)
    assert get(counting, "rp", "auto") == before
    assert "routingpolicies" not in writes(installation)
