"""What is wrong with a RoutingPolicy, beyond what the CRD's schema says, and what there is to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.engine import Task
from mixserve.api.names import Reason
from mixserve.validate.policy_names import policy_names_taken
from mixserve.validate.suggestion import guess
from mixserve.validate.violation import Note, Violation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mixserve.api.pool import LLMServingPool
    from mixserve.api.routing_policy import RoutingPolicy


@dataclass(frozen=True)
class PolicyFindings:
    """Everything about a policy's spec; there are notes only where nothing is wrong."""

    violations: tuple[Violation, ...] = ()
    notes: tuple[Note, ...] = ()


def judge_policy(
    policy: RoutingPolicy,
    *,
    pools: Collection[LLMServingPool],
    policies: Collection[RoutingPolicy],
) -> PolicyFindings:
    """Judge a policy.

    Args:
        policy: the policy.
        pools: those of its namespace.
        policies: those of its namespace; itself among them or not.
    """
    others = [other for other in policies if other.metadata.name != policy.metadata.name]
    wrong = (*policy_names_taken(policy, pools=pools, policies=others), *_shadow_answers(policy))
    if wrong:
        return PolicyFindings(violations=wrong)
    missing = _missing_pools(policy, {pool.metadata.name for pool in pools})
    return PolicyFindings(notes=(*missing, *_mixed_tasks(policy, pools)))


def references(policy: RoutingPolicy) -> Iterator[tuple[str, str]]:
    """The pools that a policy names, with the fields that do."""
    spec = policy.spec
    if spec.classifier.llm is not None:
        yield "spec.classifier.llm.poolRef.name", spec.classifier.llm.pool_ref.name
    for tier_index, tier in enumerate(spec.tiers):
        for index, target in enumerate(tier.targets):
            yield f"spec.tiers[{tier_index}].targets[{index}].poolRef.name", target.pool_ref.name
    if spec.shadow is not None:
        yield "spec.shadow.poolRef.name", spec.shadow.pool_ref.name


def _shadow_answers(policy: RoutingPolicy) -> Iterator[Violation]:
    """A pool that answers anyway learns nothing from copies, and its clients wait for them."""
    shadow = policy.spec.shadow
    if shadow is None:
        return
    tiers = [tier.name for tier in policy.spec.tiers for target in tier.targets if target.pool_ref == shadow.pool_ref]
    if tiers:
        yield Violation(
            Reason.SHADOW_IS_TARGET,
            "spec.shadow.poolRef.name",
            f"the pool {shadow.pool_ref.name} is a target of the tier {tiers[0]}, so it has the requests already",
            "name a pool that is in no tier, or take it out of the tier",
        )


def _missing_pools(policy: RoutingPolicy, there: Collection[str]) -> Iterator[Note]:
    """Pools may come after the policies that name them, as tools apply manifests in any order."""
    for path, name in references(policy):
        if name not in there:
            yield Note(
                Reason.TARGET_NOT_FOUND,
                path,
                f"there is no LLMServingPool {name} in this namespace",
                f"{guess(name, there)}correct the name, or apply the pool; until then the policy works without it",
            )


def _mixed_tasks(policy: RoutingPolicy, pools: Iterable[LLMServingPool]) -> Iterator[Note]:
    """Tiers go by how hard a request is, not by its path: so each path's requests also come to pools without it."""
    task_of = {pool.metadata.name: pool.spec.task for pool in pools}
    targets = dict.fromkeys(target.pool_ref.name for tier in policy.spec.tiers for target in tier.targets)
    first = {task_of[name]: name for name in reversed(targets) if name in task_of}
    if len(first) > 1:
        yield Note(
            Reason.VALID,
            "spec.tiers",
            f"the task of the pool {first[Task.EMBED]} is Embed and that of {first[Task.GENERATE]} Generate: an engine "
            "answers 404 to requests that come to it and are for the other",
            "give each task a policy of its own",
        )
