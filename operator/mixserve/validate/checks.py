"""All checks, and the two questions that they answer: what is wrong, and what is there to know?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.validate.catalog_checks import (
    unknown_accelerator,
    unknown_quantization,
    unsupported_by_accelerator,
    unsupported_by_engine,
)
from mixserve.validate.model_checks import context_exceeds_model, does_not_fit, indivisible_heads, invalid_facts
from mixserve.validate.notes import facts_unknown, format_falls_back, version_unknown
from mixserve.validate.pool_checks import batch_too_narrow, given_facts_contradict, owned_flags, served_names_taken
from mixserve.validate.subject import subjects_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.validate.violation import Note, Violation

POOL_CHECKS = (owned_flags, batch_too_narrow, given_facts_contradict)

VARIANT_CHECKS = (
    unknown_quantization,
    unknown_accelerator,
    unsupported_by_engine,
    unsupported_by_accelerator,
    invalid_facts,
    indivisible_heads,
    context_exceeds_model,
    does_not_fit,
)

VARIANT_NOTES = (facts_unknown, format_falls_back)


def violations(
    pool: LLMServingPool,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    served_name_owners: Mapping[str, str],
) -> tuple[Violation, ...]:
    """Everything that is wrong with a pool, in the order of its fields, each only once.

    Args:
        pool: the pool.
        catalog: the formats and accelerators that there are.
        facts_by_variant: for every variant of the pool.
        served_name_owners: the pool that owns a model name in this namespace, by model name.
    """
    found = [*served_names_taken(pool, served_name_owners)]
    found += [violation for check in POOL_CHECKS for violation in check(pool)]
    for subject in subjects_of(pool, catalog, facts_by_variant):
        found += [violation for check in VARIANT_CHECKS for violation in check(subject)]
    return tuple(dict.fromkeys(found))


def notes(pool: LLMServingPool, catalog: Catalog, facts_by_variant: Mapping[str, Facts]) -> tuple[Note, ...]:
    """What there is to know about a pool without violations, each only once."""
    found = [*version_unknown(pool)]
    for subject in subjects_of(pool, catalog, facts_by_variant):
        found += [note for check in VARIANT_NOTES for note in check(subject)]
    return tuple(dict.fromkeys(found))
