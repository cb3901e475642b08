"""The chart renders what an API server takes, refuses values that mean nothing, and gives the operator few rights."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.catalog.built_in import built_in_catalog
from mixserve.controller.settings import Settings
from mixserve.controller.webhook.issuing import issue
from mixserve.controller.webhook.serving import LIMIT_S, PATH
from mixserve_devcluster import binaries, kubectl
from mixserve_devcluster.chart import CHART
from mixserve_devcluster.control_plane import ControlPlane
from support.custom_resources import install_crds
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.integration

CLUSTER_ROLE = "mixserve-system-mixserve"
CERTIFICATE = base64.b64encode(issue(["a"], dt.datetime.now(dt.UTC)).authority).decode()


def helm(*arguments: str, values: Mapping[str, Any] | None = None, home: Path | None = None) -> str:
    """What helm prints; an AssertionError with what it says if it fails."""
    done = subprocess.run(
        [binaries.find("helm"), *arguments, *([] if values is None else ["--values=-"])],
        input=None if values is None else json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "HELM_CACHE_HOME": str(home), "HELM_CONFIG_HOME": str(home)} if home else None,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(namespace: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    text = helm("template", "mixserve", str(CHART), "--namespace", namespace, values=values)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


@pytest.fixture
def restricted(control_plane: ControlPlane, namespace: str) -> str:
    """A namespace that admits only pods of the restricted Pod Security Standard."""
    install_crds(control_plane)
    label = "pod-security.kubernetes.io/warn=restricted"
    kubectl.run(control_plane.kubeconfig, "label", "namespace", namespace, label)
    return namespace


def test_helm_has_nothing_against_it() -> None:
    helm("lint", "--strict", str(CHART))


VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "two replicas on chosen nodes": {
        "replicas": 2,
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "system-cluster-critical",
    },
    "own image": {
        "image": {"repository": "registry.example:5000/team/mixserve", "tag": "v1", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "runAsUser": 1000650000,
    },
    "own names, no catalogue": {"fullnameOverride": "llm", "catalog": {"install": False}},
    "no webhook": {"webhook": {"enabled": False}},
    "a webhook that fails closed": {
        "operator": {"watchNamespaces": ["kube-public"]},
        "webhook": {"failurePolicy": "Fail", "timeoutSeconds": 30},
    },
    "a gateway with a certificate": {
        "gateway": {"tls": {"secretName": "tls"}, "serviceType": "LoadBalancer", "replicas": 3}
    },
    "no gateways": {"gateway": {"enabled": False}},
    "no way to models": {"hub": {"enabled": False}, "volumes": {"enabled": False}},
    "a mirror": {"hub": {"endpoint": "https://hub.example/hf", "readTokens": True}},
    "settings": {
        "operator": {
            "scrapeIntervalSeconds": 0.5,
            "resyncIntervalSeconds": 86400,
            "workers": 64,
            "leaseDurationSeconds": 60,
            "logLevel": "debug",
        }
    },
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_an_api_server_takes_all_of_it(values: dict[str, Any], control_plane: ControlPlane, restricted: str) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": render(restricted, values)}
    done = subprocess.run(
        [
            *(binaries.find("kubectl"), "--kubeconfig", control_plane.kubeconfig),
            *("--cache-dir", control_plane.directory / "kubectl-cache"),
            *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-"),
        ],
        input=json.dumps(listed),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    # Also nothing that Pod Security or the API server warn of.
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"replicas": 3}, "maximum: got 3, want 2"),
        ({"replicas": "1"}, "got string, want integer"),
        ({"image": {"tags": "v1"}}, "additional properties 'tags' not allowed"),
        ({"image": {"repository": ""}}, "minLength"),
        ({"image": {"pullPolicy": "Sometimes"}}, "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ({"image": {"tag": "a b"}}, "does not match pattern"),
        ({"catalog": {"install": "yes"}}, "got string, want boolean"),
        ({"catalog": {"status": None}}, "missing property 'status'"),
        ({"operator": {"watchNodes": "Auto"}}, "got string, want boolean"),
        ({"operator": {"watchNamespaces": "team-a"}}, "got string, want array"),
        ({"operator": {"watchNamespaces": ["Team"]}}, "does not match pattern"),
        ({"operator": {"watchNamespaces": ["a", "a"]}}, "items at 0 and 1 are equal"),
        ({"operator": {"scrapeIntervalSeconds": 0}}, "minimum: got 0, want 0.1"),
        ({"operator": {"workers": 0.5}}, "got number, want integer"),
        ({"operator": {"logLevel": "loud"}}, "value must be one of 'debug'"),
        ({"operator": {"leaseDurationSeconds": 1}}, "minimum: got 1, want 3"),
        ({"resources": {"limit": {}}}, "additional properties 'limit' not allowed"),
        ({"webhook": {"failurePolicy": "Open"}}, "value must be one of 'Ignore', 'Fail'"),
        ({"webhook": {"timeoutSeconds": 3}}, "minimum: got 3, want 4"),
        ({"webhook": {"certificates": "none"}}, "value must be one of 'SelfSigned', 'CertManager'"),
        ({"gateway": {"replicas": 0}}, "minimum: got 0, want 1"),
        ({"gateway": {"serviceType": "External"}}, "value must be one of 'ClusterIP'"),
        ({"gateway": {"tls": {"secretName": "A"}}}, "does not match pattern"),
        ({"gateway": {"resources": {"python": {}}}}, "additional properties 'python' not allowed"),
        ({"runAsUser": 0}, "minimum: got 0, want 1"),
        ({"fullnameOverride": "0-digit"}, "does not match pattern"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(AssertionError) as error:
        render("mixserve-system", values)
    assert "values don't meet the specifications of the schema" in str(error.value)
    assert says in str(error.value)


def test_every_value_is_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    for part in ("catalog", "operator", "webhook", "hub", "volumes", "gateway"):
        assert set(values[part]) == set(schema["properties"][part]["properties"])


def test_the_deployment_sets_only_what_the_operator_reads() -> None:
    [deployment] = of_kind(render("mixserve-system"), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    names = {variable["name"] for variable in container["env"]}
    assert names <= {f"MIXSERVE_{name.upper()}" for name in Settings.model_fields}
    assert container["command"] == ["mixserve", "operator", "run"]


def test_settings_reach_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**VALUES["settings"], "operator": {**VALUES["settings"]["operator"], "watchNamespaces": ["a", "b"]}}
    values["catalog"] = {"status": False}
    [deployment] = of_kind(render("mixserve-system", values), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    settings = Settings()
    assert settings.watch_namespaces == ("a", "b")
    assert settings.catalog_status is False
    assert (settings.scrape_interval_s, settings.resync_interval_s) == (0.5, 86400)
    assert (settings.workers, settings.lease_duration_s, settings.log_level) == (64, 60, "debug")


def test_the_gateways_options_reach_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {
        "image": {"repository": "registry.example/mixserve", "tag": "v1", "pullPolicy": "Always"},
        "runAsUser": None,
        "gateway": {
            "replicas": 3,
            "envoyImage": "registry.example/envoy:v1",
            "serviceType": "NodePort",
            "tls": {"secretName": "cert"},
            "resources": {"envoy": {"limits": {"memory": "2Gi"}}, "gateway": None},
        },
    }
    variables, _ = environment_and_ports(render("mixserve-system", chosen))
    monkeypatch.setenv("MIXSERVE_GATEWAY", variables["MIXSERVE_GATEWAY"])
    options = Settings().gateway
    assert options is not None
    assert (options.image, options.image_pull_policy) == ("registry.example/mixserve:v1", "Always")
    assert (options.envoy_image, options.replicas) == ("registry.example/envoy:v1", 3)
    assert (options.service_type, options.tls_secret_name, options.run_as_user) == ("NodePort", "cert", None)
    assert options.envoy_resources["limits"] == {"memory": "2Gi"}
    assert options.gateway_resources == {}


def test_without_gateways_the_operator_neither_has_rights_for_them_nor_looks() -> None:
    manifests = render("mixserve-system", {"gateway": {"enabled": False}})
    variables, _ = environment_and_ports(manifests)
    assert "MIXSERVE_GATEWAY" not in variables
    said = json.dumps([each for each in manifests if each["kind"] != "CustomResourceDefinition"])
    assert "routingpolicies" not in said
    assert '"roles"' not in said


def test_the_webhook_is_where_the_api_server_looks_for_it() -> None:
    manifests = render("mixserve-system")
    [configuration] = of_kind(manifests, "ValidatingWebhookConfiguration")
    [webhook] = configuration["webhooks"]
    service = webhook["clientConfig"]["service"]
    [found] = [each for each in of_kind(manifests, "Service") if each["metadata"]["name"] == service["name"]]
    [port] = found["spec"]["ports"]
    variables, pod_ports = environment_and_ports(manifests)
    assert (service["path"], service["port"]) == (PATH, port["port"])
    assert pod_ports[port["targetPort"]] == int(variables["MIXSERVE_WEBHOOK_PORT"])
    assert variables["MIXSERVE_WEBHOOK_NAMES"] == f"{service['name']}.{service['namespace']}.svc"
    assert variables["MIXSERVE_WEBHOOK_CONFIGURATION"] == configuration["metadata"]["name"]
    assert [each["metadata"]["name"] for each in of_kind(manifests, "Secret")] == [variables["MIXSERVE_WEBHOOK_SECRET"]]
    assert webhook["timeoutSeconds"] > LIMIT_S


def test_the_webhook_is_asked_about_new_and_changed_pools_and_pairs_where_the_operator_looks() -> None:
    values = {"operator": {"watchNamespaces": ["team-a", "team-b"]}}
    [configuration] = of_kind(render("mixserve-system", values), "ValidatingWebhookConfiguration")
    [webhook] = configuration["webhooks"]
    [rule] = webhook["rules"]
    assert rule["resources"] == ["llmservingpools", "speculativepairs", "routingpolicies"]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    [expression] = webhook["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["team-a", "team-b"]


def test_nothing_is_left_of_a_webhook_that_is_switched_off() -> None:
    text = helm("template", "mixserve", str(CHART), values={"webhook": {"enabled": False}})
    assert "webhook" not in text.lower()


def test_cert_manager_makes_the_certificate_where_it_shall() -> None:
    manifests = render("mixserve-system", {"webhook": {"certificates": "CertManager"}})
    [configuration] = of_kind(manifests, "ValidatingWebhookConfiguration")
    authority, certificate = of_kind(manifests, "Certificate")
    issuers = {each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "Issuer")}
    name = certificate["metadata"]["name"]
    assert configuration["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": f"mixserve-system/{name}"}
    assert certificate["spec"]["dnsNames"] == ["mixserve-webhook.mixserve-system.svc"]
    assert issuers[certificate["spec"]["issuerRef"]["name"]] == {"ca": {"secretName": authority["spec"]["secretName"]}}
    assert issuers[authority["spec"]["issuerRef"]["name"]] == {"selfSigned": {}}
    [deployment] = of_kind(manifests, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "webhook"]
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "webhook"]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]
    assert environment_and_ports(manifests)[0]["MIXSERVE_WEBHOOK_CERTIFICATE_DIRECTORY"] == mount["mountPath"]
    # Then the operator needs no Secret of its own, and no right to one.
    assert of_kind(manifests, "Secret") == []
    assert "secrets" not in json.dumps(of_kind(manifests, "Role") + of_kind(manifests, "ClusterRole"))


def environment_and_ports(manifests: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, int]]:
    """The operator's variables that have values, and its ports by name."""
    [deployment] = of_kind(manifests, "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return variables, {each["name"]: each["containerPort"] for each in container["ports"]}


POOL_RIGHTS = (
    "list mixserve.dev/llmservingpools",
    "patch mixserve.dev/llmservingpools/status",
    "watch mixserve.dev/speculativepairs",
    "create apps/deployments",
    "patch apps/deployments/scale",
    "delete services",
    "patch serviceaccounts",
    "list mixserve.dev/routingpolicies",
    "patch mixserve.dev/routingpolicies/status",
    "create rbac.authorization.k8s.io/roles",
    "delete rbac.authorization.k8s.io/rolebindings",
    "create configmaps",
    "watch policy/poddisruptionbudgets",
    "patch pods",
    "get pods/log",
    "create events.k8s.io/events",
    "create batch/jobs",
    "delete batch/jobs",
    "get persistentvolumeclaims",
)
CATALOGUE_RIGHTS = ("watch mixserve.dev/acceleratorclasses", "list mixserve.dev/quantizationformats")
CATALOGUE_STATUS_RIGHTS = (
    "patch mixserve.dev/acceleratorclasses/status",
    "patch mixserve.dev/quantizationformats/status",
)
CAPACITY_RIGHTS = ("list nodes", "watch nodes", "list pods", "watch pods")
NO_RIGHTS = (
    "get secrets",
    "list secrets",
    "deletecollection configmaps",
    "create pods",
    "delete pods",
    "create pods/exec",
    "create pods/eviction",
    "update mixserve.dev/llmservingpools",
    "delete mixserve.dev/llmservingpools",
    "delete mixserve.dev/speculativepairs",
    "patch mixserve.dev/quantizationformats",
    "delete mixserve.dev/routingpolicies",
    "escalate rbac.authorization.k8s.io/roles",
    "bind rbac.authorization.k8s.io/roles",
    "create rbac.authorization.k8s.io/clusterroles",
    "bind rbac.authorization.k8s.io/clusterroles",
    "impersonate serviceaccounts",
    "create serviceaccounts/token",
    "list coordination.k8s.io/leases",
    "update coordination.k8s.io/leases",
    "list persistentvolumeclaims",
    "patch batch/jobs",
    "list namespaces",
    "patch nodes",
    "update mixserve.dev/acceleratorclasses/status",
    "list apiextensions.k8s.io/customresourcedefinitions",
)


def may(plane: ControlPlane, account: str, right: str, namespace: str, name: str = "") -> bool:
    """What the API server would say to an account (NAMESPACE:NAME) that wants to do VERB [GROUP/]RESOURCE[/PART]."""
    verb, _, what = right.partition(" ")
    group, resource, part = re.fullmatch(r"(?:([^/]*\.[^/]*|apps|policy|batch)/)?([^/]+)(?:/(.+))?", what).groups("")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{account}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": part,
                "namespace": namespace,
                "name": name,
            },
        },
    }
    answer = plane.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def install_rights(plane: ControlPlane, namespace: str, values: Mapping[str, Any]) -> str:
    """Apply the chart's account and roles; return the account."""
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    items = [manifest for manifest in render(namespace, values) if manifest["kind"] in kinds]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl.run(plane.kubeconfig, "apply", "--server-side", "--filename=-", standard_input=listed)
    account = f"{namespace}:mixserve"
    # The API server's authorizer sees new roles a moment later.
    eventually(lambda: may(plane, account, CATALOGUE_RIGHTS[0], ""), "right to read the catalogue")
    eventually(lambda: may(plane, account, "create coordination.k8s.io/leases", namespace), "right to a Lease")
    return account


def test_the_operator_may_do_its_work_everywhere(control_plane: ControlPlane, namespace: str) -> None:
    account = install_rights(control_plane, namespace, {})
    wanted = [*POOL_RIGHTS, *CATALOGUE_RIGHTS, *CATALOGUE_STATUS_RIGHTS]
    assert [right for right in wanted if not may(control_plane, account, right, "kube-public")] == []
    assert [right for right in CAPACITY_RIGHTS if not may(control_plane, account, right, "")] == []


def test_the_operator_may_do_nothing_else(control_plane: ControlPlane, namespace: str) -> None:
    account = install_rights(control_plane, namespace, {})
    for where in ("", "kube-public", namespace):
        assert [right for right in NO_RIGHTS if may(control_plane, account, right, where)] == []


def test_it_may_read_tokens_only_if_it_is_told_to(control_plane: ControlPlane, namespace: str) -> None:
    account = install_rights(control_plane, namespace, {"hub": {"readTokens": True}})
    eventually(lambda: may(control_plane, account, "get secrets", "kube-public", "hf-token"), "right to tokens")
    assert not may(control_plane, account, "list secrets", "kube-public")
    switched_off = {"hub": {"enabled": False, "readTokens": True}, "volumes": {"enabled": False}}
    for role in of_kind(render(namespace, switched_off), "ClusterRole"):
        resources = {resource for rule in role["rules"] for resource in rule["resources"]}
        assert not resources & {"secrets", "jobs", "persistentvolumeclaims"}


def test_the_hub_and_the_jobs_image_reach_the_operator() -> None:
    chosen = {
        "image": {"repository": "registry.example/mixserve", "tag": "v1"},
        "hub": {"endpoint": "https://hub.example/mirror", "readTokens": True},
    }
    variables, _ = environment_and_ports(render("mixserve-system", chosen))
    assert variables["MIXSERVE_FILES_IMAGE"] == "registry.example/mixserve:v1"
    assert variables["MIXSERVE_HUB_ENDPOINT"] == "https://hub.example/mirror"
    assert (variables["MIXSERVE_HUB_ENABLED"], variables["MIXSERVE_HUB_READ_TOKENS"]) == ("true", "true")
    off, _ = environment_and_ports(
        render("mixserve-system", {"hub": {"enabled": False}, "volumes": {"enabled": False}})
    )
    assert off["MIXSERVE_HUB_ENABLED"] == "false"
    assert not {"MIXSERVE_HUB_ENDPOINT", "MIXSERVE_FILES_IMAGE", "MIXSERVE_CACHE_DIRECTORY"} & set(off)


def test_the_operator_may_hold_one_lease_in_its_own_namespace(control_plane: ControlPlane, namespace: str) -> None:
    account = install_rights(control_plane, namespace, {})
    [deployment] = of_kind(render(namespace), "Deployment")
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    [lease] = [variable["value"] for variable in variables if variable["name"] == "MIXSERVE_LEASE_NAME"]
    for verb in ("get", "patch"):
        right = f"{verb} coordination.k8s.io/leases"
        assert may(control_plane, account, right, namespace, lease)
        assert not may(control_plane, account, right, namespace, "another")
        assert not may(control_plane, account, right, "kube-system", lease)
    assert not may(control_plane, account, "update coordination.k8s.io/leases", namespace, lease)


def test_the_operator_may_write_one_secret_and_one_configuration(control_plane: ControlPlane, namespace: str) -> None:
    account = install_rights(control_plane, namespace, {})
    configurations = "admissionregistration.k8s.io/validatingwebhookconfigurations"
    for verb in ("get", "patch"):
        assert may(control_plane, account, f"{verb} secrets", namespace, "mixserve-webhook")
        assert not may(control_plane, account, f"{verb} secrets", namespace, "another")
        assert not may(control_plane, account, f"{verb} secrets", "kube-system", "mixserve-webhook")
        assert may(control_plane, account, f"{verb} {configurations}", "", f"{namespace}-mixserve")
        assert not may(control_plane, account, f"{verb} {configurations}", "", "another")
    for verb in ("create", "update", "delete", "list"):
        assert not may(control_plane, account, f"{verb} secrets", namespace, "mixserve-webhook")
        assert not may(control_plane, account, f"{verb} {configurations}", "", f"{namespace}-mixserve")


def test_named_namespaces_bound_the_rights(control_plane: ControlPlane, namespace: str) -> None:
    account = install_rights(control_plane, namespace, {"operator": {"watchNamespaces": ["kube-public"]}})
    eventually(lambda: may(control_plane, account, POOL_RIGHTS[0], "kube-public"), "rights in a named namespace")
    for where, expected in (("kube-public", [*POOL_RIGHTS]), (namespace, []), ("default", []), ("", [])):
        assert [right for right in POOL_RIGHTS if may(control_plane, account, right, where)] == expected
    assert all(may(control_plane, account, right, "") for right in (*CATALOGUE_RIGHTS, *CATALOGUE_STATUS_RIGHTS))
    assert not any(may(control_plane, account, right, "") for right in CAPACITY_RIGHTS)


def test_with_named_namespaces_nodes_and_pods_may_be_read_when_a_value_says_so(
    control_plane: ControlPlane, namespace: str
) -> None:
    values = {"operator": {"watchNamespaces": ["kube-public"], "watchNodes": True}}
    account = install_rights(control_plane, namespace, values)
    assert all(may(control_plane, account, right, "") for right in CAPACITY_RIGHTS)
    assert not may(control_plane, account, "patch pods", "default")


def test_an_operator_that_leaves_the_catalogue_alone_has_no_rights_for_it(
    control_plane: ControlPlane, namespace: str
) -> None:
    account = install_rights(control_plane, namespace, {"catalog": {"status": False}})
    assert not any(may(control_plane, account, right, "") for right in CATALOGUE_STATUS_RIGHTS)
    assert not may(control_plane, account, "list nodes", "")


@pytest.fixture
def fresh_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane on which nothing of Mixserve has been installed."""
    with ControlPlane.start(tmp_path / "plane") as plane:
        yield plane


SMALLEST_POOL = {
    "apiVersion": "mixserve.dev/v1alpha1",
    "kind": "LLMServingPool",
    "metadata": {"name": "kept"},
    "spec": {
        "model": {"source": "pvc://models"},
        "variants": [{"name": "main", "quantization": "fp8", "accelerator": "l4"}],
    },
}


def test_helm_installs_upgrades_and_uninstalls_it(fresh_plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = fresh_plane.kubeconfig

    def release(command: str, *arguments: str, values: Mapping[str, Any] | None = None) -> None:
        where = ("--namespace", "mixserve-system", "--kubeconfig", str(kubeconfig))
        helm(command, "mixserve", *arguments, *where, values=values, home=tmp_path)

    def names(kinds: str) -> set[str]:
        found = kubectl.run(kubeconfig, "get", kinds, "--output=name", "--all-namespaces")
        return {line.rpartition("/")[2] for line in found.split()}

    release("install", str(CHART), "--create-namespace", values={})
    catalog = built_in_catalog()
    assert names("qf,ac") == {*catalog.formats, *catalog.accelerators}
    assert names("deployments") == {"mixserve"}
    data = {"data": {"tls.key": "a2V5"}}
    bundle = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": CERTIFICATE}]
    secret = ("secret", "mixserve-webhook", "--namespace=mixserve-system")
    configuration = ("validatingwebhookconfiguration", CLUSTER_ROLE)
    kubectl.run(kubeconfig, "patch", *secret, "--type=merge", f"--patch={json.dumps(data)}")
    kubectl.run(kubeconfig, "patch", *configuration, "--type=json", f"--patch={json.dumps(bundle)}")
    kubectl.apply(kubeconfig, [SMALLEST_POOL], namespace="default")
    status = json.dumps({"status": {"observedGeneration": 1, "pools": 1, "usedBy": ["default/kept"]}})
    kubectl.run(kubeconfig, "patch", "qf", "fp8", "--subresource=status", "--type=merge", f"--patch={status}")

    release("upgrade", str(CHART), values={"operator": {"workers": 3}})
    fp8 = json.loads(kubectl.run(kubeconfig, "get", "qf", "fp8", "--output=json"))
    assert fp8["status"] == json.loads(status)["status"]

    release("upgrade", str(CHART), values={"catalog": {"install": False}})
    assert names("qf,ac") == set()
    # What the operator has written stays: else no pool would be checked until it has written it again.
    assert json.loads(kubectl.run(kubeconfig, "get", *secret, "--output=json"))["data"] == data["data"]
    [webhook] = json.loads(kubectl.run(kubeconfig, "get", *configuration, "--output=json"))["webhooks"]
    assert webhook["clientConfig"]["caBundle"] == CERTIFICATE

    release("uninstall")
    left = names("deployments,services,clusterroles,clusterrolebindings,validatingwebhookconfigurations")
    assert left & {"mixserve", CLUSTER_ROLE} == set()
    assert names("lsp") == {"kept"}
