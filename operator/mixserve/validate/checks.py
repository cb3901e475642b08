"""All checks, and the two questions that they answer: what is wrong, and what is there to know?"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from mixserve.plan.speculation import WITHOUT_SPECULATION
from mixserve.validate.adapter_checks import adapter_called_as_the_model, adapters_not_served
from mixserve.validate.catalog_checks import (
    engine_too_old,
    more_gpus_than_a_node,
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
from mixserve.validate.kv_cache_checks import (
    kv_cache_flag_owned,
    kv_cache_unsupported_by_accelerator,
    kv_cache_unsupported_by_engine,
    unknown_kv_cache_format,
)
from mixserve.validate.model_checks import (
    auto_without_facts,
    checkpoint_not_there,
    context_exceeds_model,
    does_not_fit,
    indivisible_heads,
    invalid_facts,
    step_too_narrow,
)
from mixserve.validate.notes import auto_waits, engine_caveats, facts_unknown, format_falls_back, version_unknown
from mixserve.validate.pool_checks import chat_template_not_taken, owned_flags, owned_variables
from mixserve.validate.speculation_checks import (
    draft_not_there,
    draft_of_another_kind,
    draft_with_another_tokenizer,
    draft_with_another_vocabulary,
    head_of_another_model,
    indivisible_draft_heads,
    indivisible_tokens,
    invalid_draft_facts,
    no_mtp_layers,
    unknown_pair,
    unsupported_draft_format,
    unsupported_speculation,
)
from mixserve.validate.speculation_notes import (
    draft_context_shorter,
    draft_facts_unknown,
    mtp_unread,
    other_special_tokens,
    speculation_caveats,
    tokenizer_unread,
)
from mixserve.validate.subject import subjects_of
from mixserve.validate.task_checks import embeddings_with_speculation, task_not_run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.plan.speculation import Speculation
    from mixserve.validate.violation import Note, Violation

POOL_CHECKS = (
    task_not_run,
    embeddings_with_speculation,
    adapters_not_served,
    adapter_called_as_the_model,
    owned_flags,
    owned_variables,
    chat_template_not_taken,
)

VARIANT_CHECKS = (
    unknown_quantization,
    unknown_accelerator,
    unsupported_by_engine,
    unsupported_by_accelerator,
    engine_too_old,
    more_gpus_than_a_node,
    owned_by_format,
    unknown_kv_cache_format,
    kv_cache_unsupported_by_engine,
    kv_cache_unsupported_by_accelerator,
    kv_cache_flag_owned,
    checkpoint_in_another_format,
    checkpoint_in_two_formats,
    checkpoint_not_read,
    step_too_narrow,
    checkpoint_not_there,
    invalid_facts,
    auto_without_facts,
    indivisible_heads,
    context_exceeds_model,
    unsupported_speculation,
    draft_of_another_kind,
    head_of_another_model,
    draft_with_another_vocabulary,
    draft_with_another_tokenizer,
    draft_not_there,
    invalid_draft_facts,
    indivisible_draft_heads,
    no_mtp_layers,
    indivisible_tokens,
    unsupported_draft_format,
    does_not_fit,
)

POOL_NOTES = (version_unknown, engine_caveats)
VARIANT_NOTES = (
    facts_unknown,
    auto_waits,
    format_falls_back,
    speculation_caveats,
    tokenizer_unread,
    other_special_tokens,
    draft_facts_unknown,
    mtp_unread,
    draft_context_shorter,
)


def violations(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    quant_methods: Mapping[str, str | None],
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
    pairs: Collection[str] = (),
) -> tuple[Violation, ...]:
    """Everything that is wrong with a pool by itself, in the order of its fields, each only once.

    Args:
        pool: the pool; `names_taken` holds it against the others.
        catalog: the formats and accelerators that there are.
        facts_by_variant: for every variant of the pool.
        quant_methods: how the checkpoint of a variant is quantized, by the variant's name.
        speculation: what proposes tokens, by the variant's name.
        pairs: the names of the SpeculativePairs of its namespace.
    """
    by_variant = violations_by_variant(
        pool,
        catalog=catalog,
        facts_by_variant=facts_by_variant,
        quant_methods=quant_methods,
        speculation=speculation,
    )
    return all_violations(pool, by_variant, pairs=pairs)


def violations_by_variant(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    quant_methods: Mapping[str, str | None],
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> dict[str, tuple[Violation, ...]]:
    """What is wrong with each variant, by its name; the arguments are those of `violations`."""
    subjects = subjects_of(
        pool,
        catalog=catalog,
        facts_by_variant=facts_by_variant,
        quant_methods=quant_methods,
        speculation=speculation,
    )
    return {
        subject.variant.name: tuple(violation for check in VARIANT_CHECKS for violation in check(subject))
        for subject in subjects
    }


def all_violations(
    pool: LLMServingPool,
    by_variant: Mapping[str, tuple[Violation, ...]],
    *,
    pairs: Collection[str] = (),
) -> tuple[Violation, ...]:
    """Those of the pool as a whole and those of its variants, each only once."""
    found = [violation for check in POOL_CHECKS for violation in check(pool)]
    found += unknown_pair(pool, pairs)
    return tuple(dict.fromkeys(chain(found, *by_variant.values())))


def notes(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> tuple[Note, ...]:
    """What there is to know about a pool without violations, each only once."""
    found = [note for check in POOL_NOTES for note in check(pool)]
    subjects = subjects_of(
        pool,
        catalog=catalog,
        facts_by_variant=facts_by_variant,
        quant_methods={},
        speculation=speculation,
    )
    for subject in subjects:
        found += [note for check in VARIANT_NOTES for note in check(subject)]
    return tuple(dict.fromkeys(found))
