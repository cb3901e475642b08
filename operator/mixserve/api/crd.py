"""CustomResourceDefinitions, made from the kinds."""

from collections.abc import Iterator
from typing import Any

from mixserve.api.kinds import Column, Kind
from mixserve.api.names import GROUP, VERSION
from mixserve.api.schema import Schema, structural_schema


def custom_resource_definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, decoded.

    There is no scale subresource: with several variants its one number would mean nothing.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": ["mixserve"],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": _explained(structural_schema(kind.model))},
    }
    if kind.has_status:
        version["subresources"] = {"status": {}}
    return version


def _column(column: Column) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    if column.wide:
        written["priority"] = 1
    return written


def _explained(schema: Schema, *, in_list: bool = False) -> Schema:
    """The schema with defaults and bounds in its descriptions: `kubectl explain` shows nothing else.

    In entries of lists it is the description alone that says the default, and the models apply it. `kubectl apply`
    replaces a list as a whole where it is not as the manifest has it, and with defaults in it never is.
    """
    explained = dict(schema)
    if "description" in schema:
        explained["description"] = " ".join([schema["description"], *_facts(schema)])
    if in_list:
        explained.pop("default", None)
    if "items" in schema:
        explained["items"] = _explained(schema["items"], in_list=True)
    if "properties" in schema:
        members = schema["properties"].items()
        explained["properties"] = {name: _explained(member, in_list=in_list) for name, member in members}
    return explained


def _facts(schema: Schema) -> Iterator[str]:
    if "default" in schema and schema.get("type") != "object":
        yield f"Default: {wire_text(schema['default'])}."
    if "minimum" in schema:
        yield f"From {schema['minimum']} to {schema['maximum']}."


def wire_text(value: object) -> str:
    """A scalar as YAML shows it, and a list of them."""
    if isinstance(value, list):
        return f"[{', '.join(wire_text(entry) for entry in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
