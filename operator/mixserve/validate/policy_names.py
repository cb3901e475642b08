"""Model names of RoutingPolicies: of all pools and policies of a namespace that want one, the oldest has it.

Age alone decides, as it is written on the objects: so everybody who looks at them comes to the same answer, also after
a restart, and the gateway without asking the operator. Between two pools more counts, see `name_checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mixserve.api.pool import LLMServingPool

    Claimant = LLMServingPool | RoutingPolicy


def age(claimant: Claimant) -> tuple[str, str, str]:
    """Sorts the older first; of the same second pools, and then the first of the alphabet."""
    return claimant.metadata.creation_timestamp, claimant.kind, claimant.metadata.name


def wanted_names(claimant: Claimant) -> dict[str, str]:
    """The model names that a pool, its adapters or a policy want, each with the field that says so."""
    own = claimant.spec.served_names is None
    served = {
        name: "metadata.name" if own else f"spec.servedNames[{index}]"
        for index, name in enumerate(claimant.served_names)
    }
    adapters = () if isinstance(claimant, RoutingPolicy) else claimant.spec.model.adapters
    return {adapter.name: f"spec.model.adapters[{index}].name" for index, adapter in enumerate(adapters)} | served


def policy_names_taken(
    policy: RoutingPolicy,
    *,
    pools: Iterable[LLMServingPool],
    policies: Iterable[RoutingPolicy],
) -> Iterator[Violation]:
    """Model names of the policy that an older pool or policy of its namespace has."""
    yield from _taken(policy, [*pools, *policies])


def names_taken_by_policies(pool: LLMServingPool, policies: Iterable[RoutingPolicy]) -> Iterator[Violation]:
    """Model names of the pool that an older policy of its namespace has."""
    yield from _taken(pool, list(policies))


def _taken(claimant: Claimant, others: Sequence[Claimant]) -> Iterator[Violation]:
    older = sorted((other for other in others if age(other) < age(claimant)), key=age)
    for name, path in wanted_names(claimant).items():
        owner = next((other for other in older if name in wanted_names(other)), None)
        if owner is not None:
            yield _violation(claimant, name, path=path, owner=owner)


def _violation(
    claimant: Claimant,
    name: str,
    *,
    path: str,
    owner: Claimant,
) -> Violation:
    who = f"the {_word(owner)} {owner.metadata.name}"
    # Manifests that nobody has stored yet have no age.
    is_older = owner.metadata.creation_timestamp < claimant.metadata.creation_timestamp
    return Violation(
        Reason.SERVED_NAME_TAKEN,
        path,
        f"{who} answers for the model name {name}{', and is older' if is_older else ''}",
        f"give this {_word(claimant)} another name in {list_of(path)}, or take the name from {who}",
    )


def list_of(path: str) -> str:
    """The list in which the model name at a field stands, or belongs."""
    return "spec.model.adapters" if path.startswith("spec.model.adapters") else "spec.servedNames"


def _word(claimant: Claimant) -> str:
    return "policy" if isinstance(claimant, RoutingPolicy) else "pool"
