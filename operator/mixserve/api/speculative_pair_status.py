"""The status of a `SpeculativePair`; numbers that are not whole are decimal strings."""

from typing import Annotated, Literal

from mixserve.api.base import StrictModel
from mixserve.api.lists import ListMap
from mixserve.api.pool_status import Condition


class PairInPool(StrictModel):
    """How the pair does in one pool that names it."""

    name: str
    """The pool."""
    tokenizers_match: Literal["True", "False", "Unknown"]
    """Whether model and draft split text into the same tokens. True as well where there is no draft; Unknown where a
    tokenizer could not be read."""
    variant: str | None = None
    """The variant that the numbers below are of: among those with ready replicas the first. Unset: there is none."""
    acceptance_rate: str | None = None
    """Share of the proposed tokens that the model kept, as a decimal from 0 to 1. Unset: nothing was measured."""
    accepted_length: str | None = None
    """Tokens that a step with proposals gave per request, as a decimal: 1 + kept / drafts. Unset: nothing was
    measured."""
    expected_speed_up: str | None = None
    """How much faster tokens should come than without speculation at `batch`, as a decimal; less than 1 is slower.
    Worked out from the GPU's numbers and acceptedLength, or from what is usual for the method where that is unset."""
    batch: str | None = None
    """Requests at once in a replica that expectedSpeedUp is about, as a decimal."""


class SpeculativePairStatus(StrictModel):
    """What was seen of the pair in the pools that name it."""

    observed_generation: int | None = None
    """The generation of the spec that this status belongs to."""
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()
    """What is to be said of the pair as a whole."""
    pools: Annotated[tuple[PairInPool, ...], ListMap("name")] = ()
    """The pools that name the pair."""
