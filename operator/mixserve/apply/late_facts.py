"""Numbers of a model that came after its pods were made: no reason to replace them. Pure.

A pool whose files could not be read runs without a memory plan. When they can be read at last, conditions and the
autoscaler take the numbers at once, and the pods get them with the next edit of the spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_MEMORY_PLAN
from mixserve.plan.facts import UnknownFacts
from mixserve.plan.objects import deployment_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.plan.facts import Facts


def facts_for_objects(
    pool: LLMServingPool,
    facts: Mapping[str, Facts],
    *,
    served: LLMServingPool | None,
    deployments: Mapping[str, Mapping[str, Any]],
) -> Mapping[str, Facts]:
    """The facts to make a pool's objects with, by variant.

    Args:
        pool: as it shall be, with numbers where it says auto.
        facts: what is known of each variant's checkpoint.
        served: the pool as its objects were last applied, or None.
        deployments: those that it has, by name.
    """
    if served is None or served.spec != pool.spec:
        return facts
    late = UnknownFacts("they came after the pods were made")
    names = {variant.name: deployment_name(pool, variant) for variant in pool.spec.variants}
    return {name: late if _runs_without(deployments.get(names[name])) else known for name, known in facts.items()}


def _runs_without(deployment: Mapping[str, Any] | None) -> bool:
    if deployment is None:
        return False
    metadata = deployment["spec"]["template"].get("metadata", {})
    return ANNOTATION_MEMORY_PLAN not in (metadata.get("annotations") or {})
