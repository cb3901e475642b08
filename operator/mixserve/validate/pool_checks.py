"""Checks of what all variants share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.engines.registry import adapter_for
from mixserve.plan.memory import embedding_parameters
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mixserve.api.pool import LLMServingPool


def served_name_owners(pools: Iterable[LLMServingPool]) -> dict[str, str]:
    """Who answers for which model name: the oldest pool of those (of one namespace) that want it."""
    oldest_first = sorted(pools, key=lambda pool: (pool.metadata.creation_timestamp, pool.metadata.name))
    owners: dict[str, str] = {}
    for pool in oldest_first:
        for name in pool.served_names:
            owners.setdefault(name, pool.metadata.name)
    return owners


def served_names_taken(pool: LLMServingPool, owners: Mapping[str, str]) -> Iterator[Violation]:
    """A model name belongs to one pool: requests for it would go to either."""
    for index, name in enumerate(pool.served_names):
        owner = owners.get(name, pool.metadata.name)
        if owner != pool.metadata.name:
            yield Violation(
                Reason.SERVED_NAME_TAKEN,
                "metadata.name" if pool.spec.served_names is None else f"spec.servedNames[{index}]",
                f"the older pool {owner} answers for the model name {name}",
                f"give this pool another name in spec.servedNames, or take the name from the pool {owner}",
            )


def owned_flags(pool: LLMServingPool) -> Iterator[Violation]:
    """Raw arguments that a field or the operator owns."""
    adapter = adapter_for(pool.spec.engine.type)
    for index, argument in enumerate(pool.spec.engine.args):
        advice = adapter.owner_of(argument)
        if advice is not None:
            # Without its value, which may be a secret.
            flag = argument.partition("=")[0]
            yield Violation(
                Reason.OWNED_FLAG,
                f"spec.engine.args[{index}]",
                f"{flag} is set by the operator",
                advice,
            )


def batch_too_narrow(pool: LLMServingPool) -> Iterator[Violation]:
    """Every running request needs a token of each step; engines refuse to start otherwise."""
    batching = pool.spec.engine.batching
    if batching.max_sequences is None or batching.max_batched_tokens is None:
        return
    if batching.max_batched_tokens < batching.max_sequences:
        yield Violation(
            Reason.INVALID_SPEC,
            "spec.engine.batching.maxBatchedTokens",
            f"{batching.max_batched_tokens} tokens per step are fewer than one for each of "
            f"{batching.max_sequences} requests",
            f"set it to {batching.max_sequences} or more, or lower spec.engine.batching.maxSequences",
        )


def given_facts_contradict(pool: LLMServingPool) -> Iterator[Violation]:
    """Numbers from the spec that can't belong to one model."""
    facts = pool.spec.model.facts
    if facts is None:
        return
    embeddings = embedding_parameters(facts)
    if facts.parameters <= embeddings:
        yield Violation(
            Reason.INVALID_MODEL_FACTS,
            "spec.model.facts.parameters",
            f"{facts.parameters} parameters are not more than the {embeddings} of the embeddings alone "
            "(vocabularySize x hiddenSize, twice unless tiedEmbeddings)",
            "take the numbers from the model's config.json",
        )
