"""The objects of a namespace's gateway: Envoy and the process that configures it, behind one Service.

They are owned by all RoutingPolicies of the namespace together, none of them as a controller. So Kubernetes deletes
them after the last policy, whether an operator runs or not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixserve.api.gateway_names import GATEWAY
from mixserve.api.names import (
    ANNOTATION_DESIRED_HASH,
    ANNOTATION_LAST_VALID_POLICIES,
    API_VERSION,
    GROUP,
    LABEL_GATEWAY,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    MANAGED_BY,
)
from mixserve.plan.gateway_pod import SERVICE_PORTS, gateway_pod
from mixserve.plan.objects import LONGEST_NOTED_SPEC_BYTES, DesiredObject, desired_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.base import ObjectMeta
    from mixserve.api.routing_policy import RoutingPolicySpec
    from mixserve.plan.gateway_options import GatewayOptions

_SELECTOR = {LABEL_GATEWAY: "true"}
_RBAC = "rbac.authorization.k8s.io"


def gateway_objects(
    policies: Sequence[ObjectMeta],
    *,
    valid: Mapping[str, RoutingPolicySpec],
    options: GatewayOptions,
) -> tuple[DesiredObject, ...]:
    """The objects in the order in which they are made.

    Args:
        policies: the metadata of all policies of one namespace, at least one.
        valid: by uid, the specs that the gateway follows.
        options: how gateways are deployed.
    """
    metadata = {
        "name": GATEWAY,
        "namespace": policies[0].namespace,
        "labels": {LABEL_NAME: GATEWAY, LABEL_INSTANCE: GATEWAY, LABEL_MANAGED_BY: MANAGED_BY, **_SELECTOR},
        "ownerReferences": [_owner(policy) for policy in sorted(policies, key=lambda one: one.name)],
    }
    bodies = (
        _service_account(metadata, valid),
        _role(metadata),
        _role_binding(metadata),
        _service(metadata, options),
        _budget(metadata),
        _deployment(metadata, options),
    )
    return tuple(_hashed(body) for body in bodies)


def _service_account(metadata: Mapping[str, Any], valid: Mapping[str, RoutingPolicySpec]) -> dict[str, Any]:
    specs = {uid: spec.to_wire() for uid, spec in valid.items()}
    text = json.dumps(specs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    fits = len(text.encode()) <= LONGEST_NOTED_SPEC_BYTES
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**metadata, "annotations": {ANNOTATION_LAST_VALID_POLICIES: text} if fits else {}},
        # The pod asks for its token itself, for one of its containers.
        "automountServiceAccountToken": False,
    }


def _role(metadata: Mapping[str, Any]) -> dict[str, Any]:
    read = ["get", "list", "watch"]
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": [
            {"apiGroups": [GROUP], "resources": ["llmservingpools", "routingpolicies"], "verbs": read},
            {"apiGroups": [""], "resources": ["pods"], "verbs": read},
            # Its own, for the last valid policies.
            {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [GATEWAY], "verbs": ["get"]},
        ],
    }


def _role_binding(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": GATEWAY},
        "subjects": [{"kind": "ServiceAccount", "name": GATEWAY, "namespace": metadata["namespace"]}],
    }


def _service(metadata: Mapping[str, Any], options: GatewayOptions) -> dict[str, Any]:
    ports = [
        {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
        for name, port in SERVICE_PORTS.items()
        if name != "https" or options.tls_secret_name is not None
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": options.service_type, "selector": _SELECTOR, "ports": ports},
    }


def _budget(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata,
        "spec": {
            "maxUnavailable": 1,
            # Pods that do not serve anyway should not hold up the drain of a node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": _SELECTOR},
        },
    }


def _deployment(metadata: Mapping[str, Any], options: GatewayOptions) -> dict[str, Any]:
    template = {"metadata": {"labels": metadata["labels"]}, "spec": gateway_pod(options, selector=_SELECTOR)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            # Unlike an engine's: nobody but the chart's value decides it.
            "replicas": options.replicas,
            "selector": {"matchLabels": _SELECTOR},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 2,
            "template": template,
        },
    }


def _owner(policy: ObjectMeta) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "RoutingPolicy",
        "name": policy.name,
        "uid": policy.uid,
        # No controller: an object has one at most, and this one has as many owners as there are policies.
        "controller": False,
        "blockOwnerDeletion": False,
    }


def _hashed(body: Mapping[str, Any]) -> DesiredObject:
    digest, metadata = desired_hash(body), body["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION_DESIRED_HASH: digest}
    return DesiredObject(body={**body, "metadata": {**metadata, "annotations": annotations}}, desired_hash=digest)
