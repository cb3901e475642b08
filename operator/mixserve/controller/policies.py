"""RoutingPolicies of a namespace: what is thought of each, and by which of them its gateway routes."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class _Known:
    """The policies and pools of a namespace, and the revisions of the caches at which they were gathered."""

    revisions: tuple[int, int]
    policies: tuple[RoutingPolicy, ...]
    pools: tuple[LLMServingPool, ...]


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
        self._known: dict[str, _Known] = {}

    def findings(self, raw: RawObject) -> PolicyFindings:
        """What is wrong with a policy, or what there is to know about it."""
        policy = self._specs.get(RoutingPolicy, raw)
        if isinstance(policy, ValidationError):
            return PolicyFindings(violations=unreadable(policy))
        known = self._in(key_of(raw).namespace)
        return judge_policy(policy, pools=known.pools, policies=known.policies)

    def in_force(self, namespace: str) -> tuple[PolicyInForce, ...]:
        """The policies that are followed, the oldest first."""
        raws = self._view.policies_in(namespace)
        noted = last_valid_policies(raws, self._view.get(SERVICE_ACCOUNTS, PoolKey(namespace, GATEWAY)))
        there = [raw["metadata"]["uid"] for raw in raws]
        remembered = {uid: self._valid[uid] for uid in there if uid in self._valid}
        known = self._in(namespace)
        found = policies_in_force(known.policies, pools=known.pools, before={**noted, **remembered})
        self._valid.update({one.policy.metadata.uid: one.policy for one in found})
        return found

    def forget(self, uid: str) -> None:
        """Drop a policy that is gone."""
        if self._valid.pop(uid, None) is not None:
            self._known.clear()  # perhaps it was the last one of its namespace

    def _in(self, namespace: str) -> _Known:
        """What can be read of a namespace, gathered again only where there may be something else."""
        revisions = (self._view.policies.revision, self._view.pools.revision)
        known = self._known.get(namespace)
        if known is None or known.revisions != revisions:
            policies = [self._specs.readable(RoutingPolicy, raw) for raw in self._view.policies_in(namespace)]
            pools = [self._specs.readable(LLMServingPool, raw) for raw in self._view.pools_in(namespace)]
            known = self._known[namespace] = _Known(
                revisions=revisions,
                policies=tuple(policy for policy in policies if policy is not None),
                pools=tuple(pool for pool in pools if pool is not None),
            )
        return known
