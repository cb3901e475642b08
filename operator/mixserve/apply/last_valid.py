"""Pools as they were when they were last valid, from what is noted on their ServiceAccounts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_LAST_VALID_PAIR, ANNOTATION_LAST_VALID_SPEC
from mixserve.api.pool import LLMServingPool
from mixserve.api.speculative_pair import SpeculativePair

if TYPE_CHECKING:
    from collections.abc import Mapping

    RawObject = Mapping[str, Any]


@dataclass(frozen=True)
class LastValid:
    """What a pool's objects were made from.

    Attributes:
        pool: the pool as it was then.
        pairs: its SpeculativePair as it was then, by name; none where they were made without one.
    """

    pool: LLMServingPool
    pairs: Mapping[str, SpeculativePair]


def last_valid(raw: RawObject, account: RawObject | None) -> LastValid | None:
    """The pool and its pair as they were when the pool's ServiceAccount was last applied."""
    noted = _noted(raw, account)
    try:
        spec = json.loads(noted.get(ANNOTATION_LAST_VALID_SPEC, "null"))
        pool = LLMServingPool.parse({**raw, "spec": spec, "status": None})
    except ValueError:  # edited by hand, or written by another version of Mixserve
        return None
    return LastValid(pool, _pairs(pool, noted.get(ANNOTATION_LAST_VALID_PAIR)))


def _pairs(pool: LLMServingPool, text: str | None) -> dict[str, SpeculativePair]:
    reference = pool.spec.speculative_pair_ref
    if reference is None or text is None:
        return {}
    metadata = {"name": reference.name, "namespace": pool.metadata.namespace}
    try:
        return {reference.name: SpeculativePair.parse({"metadata": metadata, "spec": json.loads(text)})}
    except ValueError:
        return {}


def _noted(raw: RawObject, account: RawObject | None) -> Mapping[str, str]:
    """What is noted on the pool's ServiceAccount; nothing where that is somebody else's."""
    metadata: Mapping[str, Any] = {} if account is None else account["metadata"]
    is_own = any(owner["uid"] == raw["metadata"]["uid"] for owner in metadata.get("ownerReferences", ()))
    annotations: Mapping[str, str] = metadata.get("annotations", {}) if is_own else {}
    return annotations
