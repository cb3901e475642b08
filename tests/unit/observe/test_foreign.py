from __future__ import annotations

from typing import Any

from mixserve.observe.foreign import foreign_fields
from support.kube_objects import deployment

OURS = {
    "manager": "mixserve",
    "operation": "Apply",
    "fieldsV1": {
        "f:metadata": {"f:labels": {"f:mixserve.dev/pool": {}}},
        "f:spec": {
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"engine"}': {
                            ".": {},
                            "f:image": {},
                            "f:name": {},
                            "f:env": {'k:{"name":"HOME"}': {".": {}, "f:name": {}, "f:value": {}}},
                        }
                    }
                }
            }
        },
    },
}
ENGINE = 'k:{"name":"engine"}'


def found(fields: dict[str, Any], **entry: Any) -> tuple[str, ...]:
    theirs = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": fields}, **entry}
    return foreign_fields(deployment(managedFields=[OURS, theirs]))


def in_pod(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:template": {"f:spec": fields}}


def test_nothing_is_foreign_in_what_we_applied() -> None:
    assert foreign_fields(deployment(managedFields=[OURS])) == ()


def test_a_sidecar_is_one_path() -> None:
    sidecar = {".": {}, "f:name": {}, "f:image": {}, "f:resources": {"f:limits": {"f:cpu": {}}}}
    assert found(in_pod({"f:containers": {'k:{"name":"spy"}': sidecar}})) == (
        "spec.template.spec.containers[name=spy]",
    )


def test_a_variable_in_our_container_is_named() -> None:
    env = {'k:{"name":"DEBUG"}': {".": {}, "f:name": {}, "f:value": {}}}
    assert found(in_pod({"f:containers": {ENGINE: {"f:env": env}}})) == (
        "spec.template.spec.containers[name=engine].env[name=DEBUG]",
    )


def test_a_paused_deployment_is_named() -> None:
    assert found({"f:paused": {}}) == ("spec.paused",)


def test_a_node_selector_is_one_path() -> None:
    assert found(in_pod({"f:nodeSelector": {".": {}, "f:disk": {}}})) == ("spec.template.spec.nodeSelector",)


def test_keys_with_dots_read_well() -> None:
    assert found({"f:template": {"f:metadata": {"f:annotations": {"f:sidecar.istio.io/inject": {}}}}}) == (
        "spec.template.metadata.annotations[sidecar.istio.io/inject]",
    )


def test_items_of_sets_read_well() -> None:
    assert found({"f:things": {'v:"x"': {}}}) == ('spec.things["x"]',)


def test_what_others_own_together_with_us_is_as_we_want_it() -> None:
    assert found(in_pod({"f:containers": {ENGINE: {"f:image": {}}}})) == ()


def test_replicas_and_restarts_are_not_reported() -> None:
    restarted = {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}
    assert found({"f:replicas": {}, "f:template": restarted}) == ()


def test_controllers_and_subresources_are_not_foreign() -> None:
    assert found({"f:paused": {}}, manager="kube-controller-manager") == ()
    assert found({"f:replicas": {}}, subresource="scale") == ()


def test_kinds_without_behaviour_are_not_looked_at() -> None:
    entry = {"manager": "x", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}
    assert foreign_fields(deployment(managedFields=[entry]) | {"kind": "ServiceAccount"}) == ()
