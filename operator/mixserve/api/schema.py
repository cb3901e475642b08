"""Pydantic's JSON schema made structural, as the API server wants the schema of a custom resource."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from mixserve.api.base import StrictModel
from mixserve.api.scalars import format_duration

Schema = dict[str, Any]

_KEPT = (
    "type",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
"""What is taken over as it is, in the order in which it is written."""
_DROPPED = frozenset({"title", "additionalProperties", "$defs"})
"""Titles repeat the names, and the API server refuses unknown fields anyway."""
_TRANSLATED = frozenset({"description", "properties", "items"})

_OBJECT_PROPERTIES: Mapping[str, Schema] = {
    "apiVersion": {"description": "Group and version of the kind: mixserve.dev/v1alpha1.", "type": "string"},
    "kind": {"description": "The kind.", "type": "string"},
    "metadata": {"type": "object"},
}
"""Of every kind; the API server has schemas of its own for these."""


def structural_schema(kind: type[StrictModel]) -> Schema:
    """The schema of a kind (a model with apiVersion, kind, metadata and spec) for its CustomResourceDefinition.

    Nothing is referenced, optional fields are not nullable, and objects default to `{}` so that the defaults inside
    them apply.

    Raises:
        ValueError: a model uses a keyword that is not known to be structural.
    """
    raw = kind.model_json_schema(by_alias=True, schema_generator=_WireDefaults)
    schema = _translate(raw, raw.get("$defs", {}))
    schema["properties"] = {**schema["properties"], **_OBJECT_PROPERTIES}
    schema["required"] = ["spec"]
    return schema


class _WireDefaults(GenerateJsonSchema):
    def encode_default(self, dft: object) -> object:
        match dft:
            case StrictModel():
                # Only what differs, since the rest comes from the defaults inside; all of it where rules are, since the
                # API server holds a default against them before it fills it in.
                return dft.model_dump(mode="json", by_alias=True, exclude_defaults=not dft.cel_rules, exclude_none=True)
            case timedelta():
                return format_duration(dft)
            case _:
                return super().encode_default(dft)


def _translate(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    flat = _flatten(raw, definitions)
    unknown = flat.keys() - {*_KEPT, *_DROPPED, *_TRANSLATED, "const"}
    if unknown:
        raise ValueError(f"not known to be structural: {', '.join(sorted(unknown))} in {dict(raw)}")
    schema = {key: flat[key] for key in _KEPT if key in flat and flat[key] not in (None, [])}
    if "description" in flat:
        schema = {"description": _unwrap(flat["description"]), **schema}
    if schema.get("type") == "array":
        schema.setdefault("x-kubernetes-list-type", "atomic")
        schema["items"] = _translate(flat["items"], definitions)
    if schema.get("type") == "object":
        schema["properties"] = {name: _translate(member, definitions) for name, member in flat["properties"].items()}
        if schema.get("default") == {} and not any("default" in member for member in schema["properties"].values()):
            del schema["default"]
    return schema


def _flatten(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Without `$ref` and the null of optional fields; what stands beside them wins over what they refer to."""
    beside = {key: value for key, value in raw.items() if key not in {"$ref", "anyOf"}}
    if "$ref" in raw:
        return _flatten(definitions[raw["$ref"].rpartition("/")[2]], definitions) | beside
    if "anyOf" in raw:
        (other,) = (option for option in raw["anyOf"] if option != {"type": "null"})
        return _flatten(other, definitions) | beside
    return beside


def _unwrap(text: str) -> str:
    """Join the lines of a paragraph; keep blank lines and indented ones."""
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)
