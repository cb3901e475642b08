"""Checks of the model's numbers against a variant: are they right, do its heads divide, does it fit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.engine import SHORTEST_CONTEXT
from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.memory import memory_plan
from mixserve.plan.parallelism import group_sizes, shares_heads
from mixserve.validate.alternatives import alternatives
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.plan.memory import MemoryPlan
    from mixserve.validate.subject import Subject


def invalid_facts(subject: Subject) -> Iterator[Violation]:
    """config.json says something that no model has."""
    if isinstance(subject.facts, InvalidFacts):
        for problem in subject.facts.problems:
            yield Violation(
                Reason.INVALID_MODEL_FACTS,
                subject.source_path,
                problem,
                "put the model's own config.json there, or give its numbers in spec.model.facts",
            )


def auto_without_facts(subject: Subject) -> Iterator[Violation]:
    """The number of GPUs is to be worked out, and nobody knows the model."""
    if subject.variant.is_auto and isinstance(subject.facts, UnknownFacts):
        yield Violation(
            Reason.UNKNOWN_MODEL_FACTS,
            f"{subject.path}.tensorParallel",
            f"auto needs the model's numbers, and {subject.facts.detail}",
            "give them in spec.model.facts, or a number of GPUs here",
        )


def indivisible_heads(subject: Subject) -> Iterator[Violation]:
    """Every GPU gets the same number of query heads, and whole KV heads or copies of one."""
    facts, gpus = subject.known_facts, subject.variant.gpus
    if facts is None or shares_heads(facts, gpus):
        return
    right = ", ".join(str(size) for size in group_sizes(facts, subject.gpus_per_node))
    yield Violation(
        Reason.INDIVISIBLE_HEADS,
        f"{subject.path}.tensorParallel",
        f"{gpus} GPUs can't share {facts.attention_heads} attention heads and {facts.key_value_heads} key-value heads "
        "evenly",
        f"choose one of {right}",
    )


def context_exceeds_model(subject: Subject) -> Iterator[Violation]:
    """The model was made for shorter contexts; the engine refuses to start."""
    facts, asked = subject.known_facts, subject.pool.spec.engine.max_model_len
    if facts is not None and asked is not None and asked > facts.max_position_embeddings:
        longest = facts.max_position_embeddings
        yield Violation(
            Reason.CONTEXT_TOO_LONG,
            "spec.engine.maxModelLen",
            f"the model was made for {longest} tokens, which is less than {asked}",
            f"set it to {longest} or less, or leave it out" if longest >= SHORTEST_CONTEXT else "leave it out",
        )


def does_not_fit(subject: Subject) -> Iterator[Violation]:
    """The weights, or one request of the longest context, need more memory than the GPUs have."""
    facts, placement = subject.known_facts, subject.own_placement
    if facts is None or placement is None:
        return
    engine, speculation = subject.pool.spec.engine, subject.speculation
    plan = memory_plan(facts, engine=engine, placement=placement, speculation=speculation)
    if not plan.fits:
        yield _violation(subject, plan=plan, instead=alternatives(subject, facts))


def step_too_narrow(subject: Subject) -> Iterator[Violation]:
    """Every running request needs a token of each step, and the engine's own default is not made to fit."""
    engine, accelerator = subject.pool.spec.engine, subject.catalog.accelerators.get(subject.variant.accelerator)
    requests = engine.batching.max_sequences
    if accelerator is None or requests is None or engine.batching.max_batched_tokens is not None:
        return
    tokens = adapter_for(engine.type).default_max_batched_tokens(
        engine,
        memory_bytes=accelerator.spec.memory,
        compute_capability=accelerator.spec.compute_capability,
    )
    if tokens is not None and tokens < requests:
        yield Violation(
            Reason.INVALID_SPEC,
            "spec.engine.batching.maxSequences",
            f"unless told, {engine.type} computes {tokens} tokens per step on {subject.variant.accelerator}, which are "
            f"fewer than one for each of {requests} requests",
            f"set spec.engine.batching.maxBatchedTokens to {requests} or more, or this to {tokens} or less",
        )


def _violation(
    subject: Subject,
    *,
    plan: MemoryPlan,
    instead: str | None,
) -> Violation:
    if plan.kv_capacity_tokens < SHORTEST_CONTEXT:
        return Violation(
            Reason.DOES_NOT_FIT,
            subject.path,
            f"the model does not fit: {plan.sentence}",
            instead
            or "add an AcceleratorClass that is large enough, as none in the catalogue is, or serve another model",
        )
    shorter = f"set it to {plan.kv_capacity_tokens} or less"
    return Violation(
        Reason.CONTEXT_TOO_LONG,
        "spec.engine.maxModelLen",
        f"the longest context does not fit in variant {subject.variant.name}: {plan.sentence}",
        shorter if instead is None else f"{shorter}, or {instead}",
    )
