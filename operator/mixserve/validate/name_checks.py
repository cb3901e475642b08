"""Names that one pool of a namespace has at most: which pool has them, and who wants them in vain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from mixserve.api.names import Reason
from mixserve.plan.objects import deployment_name
from mixserve.validate.policy_names import list_of, wanted_names
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mixserve.api.pool import LLMServingPool


class NameKind(Enum):
    """What is called so."""

    MODEL = auto()
    DEPLOYMENT = auto()


class Name(NamedTuple):
    """A name that can't be shared."""

    kind: NameKind
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A pool that serves, or could.

    Attributes:
        pool: with the spec that it serves by; a pool that was never valid has no claim.
        served_before: with the spec that its objects were last made from, or None.
    """

    pool: LLMServingPool
    served_before: LLMServingPool | None


def name_owners(claims: Iterable[Claim]) -> dict[Name, LLMServingPool]:
    """Which pool of those of one namespace has which name.

    Whoever serves under a name keeps it, so that no edit of another pool takes it away. Of pools that don't, the oldest
    gets all its names, or none where one of them is taken: half of a pool is not made. What a pool serves under is
    noted on its objects, so it is the same after a restart; where it is not noted, age alone decides.
    """
    oldest_first = sorted(claims, key=lambda claim: _age(claim.pool))
    owners: dict[Name, LLMServingPool] = {}
    for claim in oldest_first:
        before = {} if claim.served_before is None else _names(claim.served_before)
        for name in _names(claim.pool).keys() & before.keys():
            owners.setdefault(name, claim.pool)
    for claim in oldest_first:
        if all(owners.get(name, claim.pool) is claim.pool for name in _names(claim.pool)):
            owners |= dict.fromkeys(_names(claim.pool), claim.pool)
    return owners


def names_taken(pool: LLMServingPool, owners: Mapping[Name, LLMServingPool]) -> Iterator[Violation]:
    """Names of the pool that another one has."""
    for name, path in _names(pool).items():
        owner = owners.get(name, pool).metadata.name
        if owner != pool.metadata.name:
            yield _violation(name, path=path, owner=owner)


def _violation(
    name: Name,
    *,
    path: str,
    owner: str,
) -> Violation:
    if name.kind is NameKind.MODEL:
        return Violation(
            Reason.SERVED_NAME_TAKEN,
            path,
            f"the pool {owner} answers for the model name {name.text}",
            f"give this pool another name in {list_of(path)}, or take the name from the pool {owner}",
        )
    return Violation(
        Reason.DEPLOYMENT_NAME_TAKEN,
        path,
        f"the Deployment would be called {name.text}, after pool and variant, as one of the pool {owner} is",
        "give the variant or this pool another name",
    )


def _names(pool: LLMServingPool) -> dict[Name, str]:
    """The names that the pool wants, with the fields that say so."""
    models = {Name(NameKind.MODEL, text): path for text, path in wanted_names(pool).items()}
    deployments = {
        Name(NameKind.DEPLOYMENT, deployment_name(pool, variant)): f"spec.variants[{index}].name"
        for index, variant in enumerate(pool.spec.variants)
    }
    return {**models, **deployments}


def _age(pool: LLMServingPool) -> tuple[str, str]:
    """Sorts older pools first; of the same second, the first of the alphabet."""
    return pool.metadata.creation_timestamp, pool.metadata.name
