"""All checks, and the two questions that they answer: what is wrong, and what is there to know?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.validate.catalog_checks import (
    owned_by_format,
    unknown_accelerator,
    unknown_quantization,
    unsupported_by_accelerator,
    unsupported_by_engine,
)
from mixserve.validate.checkpoint_checks import (
    checkpoint_in_another_format,
    checkpoint_in_two_formats,
    checkpoint_not_read,
)
from mixserve.validate.model_checks import (
    context_exceeds_model,
    does_not_fit,
    indivisible_heads,
    invalid_facts,
    step_too_narrow,
)
from mixserve.validate.notes import engine_caveats, facts_unknown, format_falls_back, version_unknown
from mixserve.validate.pool_checks import owned_flags
from mixserve.validate.subject import subjects_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.validate.violation import Note, Violation

POOL_CHECKS = (owned_flags,)

VARIANT_CHECKS = (
    unknown_quantization,
    unknown_accelerator,
    unsupported_by_engine,
    unsupported_by_accelerator,
    owned_by_format,
    checkpoint_in_another_format,
    checkpoint_in_two_formats,
    checkpoint_not_read,
    step_too_narrow,
    invalid_facts,
    indivisible_heads,
    context_exceeds_model,
    does_not_fit,
)

POOL_NOTES = (version_unknown, engine_caveats)
VARIANT_NOTES = (facts_unknown, format_falls_back)


def violations(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    quant_methods: Mapping[str, str | None],
) -> tuple[Violation, ...]:
    """Everything that is wrong with a pool by itself, in the order of its fields, each only once.

    Args:
        pool: the pool; `names_taken` holds it against the others.
        catalog: the formats and accelerators that there are.
        facts_by_variant: for every variant of the pool.
        quant_methods: how the checkpoint of a variant is quantized, by the variant's name.
    """
    found = [violation for check in POOL_CHECKS for violation in check(pool)]
    for subject in subjects_of(pool, catalog=catalog, facts_by_variant=facts_by_variant, quant_methods=quant_methods):
        found += [violation for check in VARIANT_CHECKS for violation in check(subject)]
    return tuple(dict.fromkeys(found))


def notes(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
) -> tuple[Note, ...]:
    """What there is to know about a pool without violations, each only once."""
    found = [note for check in POOL_NOTES for note in check(pool)]
    for subject in subjects_of(pool, catalog=catalog, facts_by_variant=facts_by_variant, quant_methods={}):
        found += [note for check in VARIANT_NOTES for note in check(subject)]
    return tuple(dict.fromkeys(found))
