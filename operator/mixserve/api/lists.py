"""Lists that the API server merges and checks entry by entry; pydantic checks the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class ListMap:
    """Metadata of a tuple of models in which the field `key` is unique (`x-kubernetes-list-type: map`)."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self._name]}

    @property
    def _name(self) -> str:
        return to_camel(self.key)

    def _check(self, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = _first_duplicate(getattr(entry, self.key) for entry in entries)
        if twice is not None:
            raise ValueError(f"{self._name} {str(twice)!r} occurs twice; each entry needs a {self._name} of its own")
        return entries


@dataclass(frozen=True)
class ListSet:
    """Metadata of a tuple of scalars without duplicates (`x-kubernetes-list-type: set`)."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"x-kubernetes-list-type": "set"}

    def _check(self, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = _first_duplicate(entries)
        if twice is not None:
            raise ValueError(f"{twice!r} occurs twice; leave one out")
        return entries


def _first_duplicate(values: Iterable[object]) -> object | None:
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
