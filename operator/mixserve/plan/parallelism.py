"""How many GPUs share one replica: what can split a model's heads, and the fewest that hold it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mixserve.api.model_facts import ModelFacts
from mixserve.plan.memory import memory_plan
from mixserve.plan.placement import PlacementError, placement_of
from mixserve.plan.speculation import WITHOUT_SPECULATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.engine import Engine
    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation


def shares_heads(facts: ModelFacts, tensor_parallel: int) -> bool:
    """Whether engines can split the heads: query heads evenly, KV heads evenly or each on equally many GPUs.

    With multi-head latent attention there are no KV heads to split: every GPU has the whole vector.
    """
    kv_heads = facts.key_value_heads
    whole = kv_heads % tensor_parallel == 0 or tensor_parallel % kv_heads == 0
    return facts.attention_heads % tensor_parallel == 0 and (whole or facts.latent_size is not None)


def shares_all_heads(facts: ModelFacts, tensor_parallel: int, speculation: Speculation | None) -> bool:
    """The same for a model and its draft, where that is known."""
    return shares_heads(facts, tensor_parallel) and draft_shares_heads(speculation, tensor_parallel)


def draft_shares_heads(speculation: Speculation | None, tensor_parallel: int) -> bool:
    """Whether engines can split the heads of a draft; so it is where there is none, or its numbers are not known."""
    if speculation is None or speculation.spec.draft is None:
        return True
    # Whatever `draft.tensorParallel` says: an engine that starts loads the draft with the model's groups of GPUs. vLLM
    # takes 1 for a head, and splits it all the same (`LLMBaseProposer._create_draft_vllm_config` of 0.32).
    draft = speculation.draft_facts
    return not isinstance(draft, ModelFacts) or shares_heads(draft, tensor_parallel)


def group_sizes(facts: ModelFacts, gpus_per_node: int) -> list[int]:
    """Numbers of GPUs of one node that can split the heads; a tensor-parallel group stays on one."""
    return [size for size in range(1, gpus_per_node + 1) if shares_heads(facts, size)]


def smallest_tensor_parallel(
    facts: ModelFacts,
    *,
    engine: Engine,
    placement: Placement,
    speculation: Speculation | None = None,
) -> int | None:
    """The smallest power of two of GPUs of one node that holds the model; None where none does.

    Powers of two, since nodes have them, and so every group of GPUs can be placed beside others.

    Args:
        facts: the model.
        engine: the pool's engine section.
        placement: its number of GPUs does not matter.
        speculation: what proposes tokens; a draft of its own has to share its heads as well.
    """
    most = placement.accelerator.gpus_per_node
    powers = (2**n for n in range(most.bit_length()))
    sizes = (size for size in powers if size <= most and shares_all_heads(facts, size, speculation))
    return next(
        (
            size
            for size in sizes
            if memory_plan(
                facts,
                engine=engine,
                placement=replace(placement, tensor_parallel=size),
                speculation=speculation,
            ).fits
        ),
        None,
    )


def with_tensor_parallel(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> LLMServingPool:
    """The pool with a number of GPUs wherever it says auto and the model's numbers are known.

    Where no number of GPUs holds the model, it is the largest that can split its heads: checks say what is missing.
    """
    variants = tuple(
        _with_number(
            pool,
            variant,
            catalog=catalog,
            facts=facts_by_variant[variant.name],
            speculation=speculation.get(variant.name),
        )
        for variant in pool.spec.variants
    )
    if variants == pool.spec.variants:
        return pool
    return pool.model_copy(update={"spec": pool.spec.model_copy(update={"variants": variants})})


def _with_number(
    pool: LLMServingPool,
    variant: Variant,
    *,
    catalog: Catalog,
    facts: Facts,
    speculation: Speculation | None,
) -> Variant:
    if not variant.is_auto or not isinstance(facts, ModelFacts):
        return variant
    try:
        placement = placement_of(pool, variant=variant, catalog=catalog)
    except PlacementError:
        return variant
    smallest = smallest_tensor_parallel(
        facts,
        engine=pool.spec.engine,
        placement=placement,
        speculation=speculation,
    )
    gpus = smallest or group_sizes(facts, placement.accelerator.gpus_per_node)[-1]
    return variant.model_copy(update={"tensor_parallel": gpus})
