"""From what the API server sent to models: objects as they are, and pools as they were when they were last valid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.names import ANNOTATION_LAST_VALID_PAIR, ANNOTATION_LAST_VALID_SPEC
from mixserve.api.pool import LLMServingPool
from mixserve.api.speculative_pair import SpeculativePair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.base import StrictModel

    RawObject = Mapping[str, Any]


def parsed(model: type[StrictModel], raw: RawObject) -> StrictModel | ValidationError:
    """An object as its model, or what is wrong with it."""
    try:
        return model.parse({key: value for key, value in raw.items() if key != "status"})
    except ValidationError as error:
        return error


def last_valid(raw: RawObject, account: RawObject | None) -> LLMServingPool | None:
    """The pool as it was when its ServiceAccount was last applied."""
    try:
        spec = json.loads(_noted(raw, account).get(ANNOTATION_LAST_VALID_SPEC, "null"))
        return LLMServingPool.parse({**raw, "spec": spec, "status": None})
    except ValueError:  # edited by hand, or written by another version of Mixserve
        return None


def last_valid_pairs(raw: RawObject, account: RawObject | None) -> dict[str, SpeculativePair]:
    """The pair that a pool's objects were made with, by name; none where they were made without one."""
    pool, text = last_valid(raw, account), _noted(raw, account).get(ANNOTATION_LAST_VALID_PAIR)
    reference = None if pool is None else pool.spec.speculative_pair_ref
    if reference is None or text is None:
        return {}
    metadata = {"name": reference.name, "namespace": raw["metadata"].get("namespace", "")}
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
