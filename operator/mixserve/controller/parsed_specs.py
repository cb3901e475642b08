"""Raw objects as models, without asking pydantic twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.base import StrictModel

    RawObject = Mapping[str, Any]


class ParsedSpecs:
    """Parsed objects, each parsed once for each generation of its spec, for everybody who looks at them."""

    def __init__(self) -> None:
        self._parsed: dict[str, tuple[int, StrictModel | ValidationError]] = {}

    def get(self, model: type[Any], raw: RawObject) -> Any:
        """The object without its status, or what is wrong with it (`ValidationError`)."""
        uid, generation = raw["metadata"]["uid"], raw["metadata"]["generation"]
        known = self._parsed.get(uid)
        if known is None or known[0] != generation:
            known = self._parsed[uid] = (generation, _parsed(model, raw))
        return known[1]

    def readable(self, model: type[Any], raw: RawObject) -> Any:
        """The object without its status; None where it can't be read."""
        found = self.get(model, raw)
        return None if isinstance(found, ValidationError) else found

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._parsed.pop(uid, None)


def status_of(model: type[Any], raw: RawObject) -> Any:
    """An object's status as it was written last; None where there is none, or one of another version of Mixserve."""
    try:
        return model.parse(raw["status"]) if raw.get("status") else None
    except ValidationError:
        return None


def _parsed(model: type[StrictModel], raw: RawObject) -> StrictModel | ValidationError:
    try:
        return model.parse({**raw, "status": None})
    except ValidationError as error:
        return error
