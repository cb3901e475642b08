"""Raw objects as models, without asking pydantic twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.base import StrictModel

    RawObject = Mapping[str, Any]


class ParsedSpecs:
    """Parsed objects, each parsed once for each generation of its spec."""

    def __init__(self) -> None:
        self._parsed: dict[str, tuple[int, StrictModel | None]] = {}

    def get(self, model: type[Any], raw: RawObject) -> Any:
        """The object without its status; None where it can't be read."""
        uid, generation = raw["metadata"]["uid"], raw["metadata"]["generation"]
        known = self._parsed.get(uid)
        if known is None or known[0] != generation:
            known = self._parsed[uid] = (generation, parsed(model, {**raw, "status": None}))
        return known[1]

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._parsed.pop(uid, None)


def parsed(model: type[Any], value: Mapping[str, Any] | None) -> Any:
    """The parsed value; None where there is none, or one of another version of Mixserve."""
    try:
        return model.parse(value) if value else None
    except ValidationError:
        return None
