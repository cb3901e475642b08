"""RoutingPolicies of a namespace: what is thought of each, and by which of them its gateway routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.gateway_names import GATEWAY
from mixserve.api.pool import LLMServingPool
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.apply.last_valid_policies import last_valid_policies
from mixserve.apply.resources import SERVICE_ACCOUNTS
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.validate.policies_in_force import policies_in_force
from mixserve.validate.policy_checks import PolicyFindings, judge_policy
from mixserve.validate.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.parsed_specs import ParsedSpecs
    from mixserve.validate.policies_in_force import PolicyInForce

    RawObject = Mapping[str, Any]


class Policies:
    """Judges policies, and remembers what they were when they were last valid.

    A restart forgets it; then the note on the gateway's ServiceAccount counts.

    Args:
        view: policies and pools.
        specs: parses, for others as well.
    """

    def __init__(self, view: ClusterView, specs: ParsedSpecs) -> None:
        self._view = view
        self._specs = specs
        self._valid: dict[str, RoutingPolicy] = {}

    def findings(self, raw: RawObject) -> PolicyFindings:
        """What is wrong with a policy, or what there is to know about it."""
        policy = self._specs.get(RoutingPolicy, raw)
        if isinstance(policy, ValidationError):
            return PolicyFindings(violations=unreadable(policy))
        namespace = key_of(raw).namespace
        return judge_policy(policy, pools=self._pools(namespace), policies=self._written(namespace))

    def in_force(self, namespace: str) -> tuple[PolicyInForce, ...]:
        """The policies that are followed, the oldest first."""
        raws = self._view.policies_in(namespace)
        noted = last_valid_policies(raws, self._view.get(SERVICE_ACCOUNTS, PoolKey(namespace, GATEWAY)))
        there = [raw["metadata"]["uid"] for raw in raws]
        remembered = {uid: self._valid[uid] for uid in there if uid in self._valid}
        found = policies_in_force(
            self._written(namespace), pools=self._pools(namespace), before={**noted, **remembered}
        )
        self._valid.update({one.policy.metadata.uid: one.policy for one in found})
        return found

    def forget(self, uid: str) -> None:
        """Drop a policy that is gone."""
        self._valid.pop(uid, None)

    def _written(self, namespace: str) -> list[RoutingPolicy]:
        parsed = (self._specs.readable(RoutingPolicy, raw) for raw in self._view.policies_in(namespace))
        return [policy for policy in parsed if policy is not None]

    def _pools(self, namespace: str) -> list[LLMServingPool]:
        parsed = (self._specs.readable(LLMServingPool, raw) for raw in self._view.pools_in(namespace))
        return [pool for pool in parsed if pool is not None]
