"""From what the API server sent to models: objects as they are, and pools as they were when they were last valid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.names import ANNOTATION_LAST_VALID_SPEC
from mixserve.api.pool import LLMServingPool

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
    metadata: Mapping[str, Any] = {} if account is None else account["metadata"]
    if not any(owner["uid"] == raw["metadata"]["uid"] for owner in metadata.get("ownerReferences", ())):
        return None
    try:
        spec = json.loads(metadata.get("annotations", {}).get(ANNOTATION_LAST_VALID_SPEC, "null"))
        return LLMServingPool.parse({**raw, "spec": spec, "status": None})
    except ValueError:  # edited by hand, or written by another version of Mixserve
        return None
