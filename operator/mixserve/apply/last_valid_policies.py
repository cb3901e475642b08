"""RoutingPolicies as they were when they were last valid, from what is noted on their gateway's ServiceAccount."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_LAST_VALID_POLICIES
from mixserve.api.routing_policy import RoutingPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    RawObject = Mapping[str, Any]


def last_valid_policies(policies: Iterable[RawObject], account: RawObject | None) -> dict[str, RoutingPolicy]:
    """By uid, those of the policies that were valid once, with the spec that they had then.

    Args:
        policies: all of a namespace, as they are now.
        account: the ServiceAccount of its gateway; None where there is none.
    """
    noted = _noted(account)
    found = {raw["metadata"]["uid"]: _with_spec(raw, noted.get(raw["metadata"]["uid"])) for raw in policies}
    return {uid: policy for uid, policy in found.items() if policy is not None}


def _noted(account: RawObject | None) -> Mapping[str, Any]:
    annotations = {} if account is None else account["metadata"].get("annotations") or {}
    try:
        noted = json.loads(annotations.get(ANNOTATION_LAST_VALID_POLICIES, "{}"))
    except ValueError:  # edited by hand
        return {}
    return noted if isinstance(noted, dict) else {}


def _with_spec(raw: RawObject, spec: Any) -> RoutingPolicy | None:
    try:
        return RoutingPolicy.parse({**raw, "spec": spec, "status": None})
    except ValueError:  # never noted, or by another version of Mixserve
        return None
