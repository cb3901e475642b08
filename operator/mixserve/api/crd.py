"""CustomResourceDefinitions, made from the kinds."""

from typing import Any

from mixserve.api.kinds import Column, Kind
from mixserve.api.names import GROUP, VERSION
from mixserve.api.schema import structural_schema


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
        "schema": {"openAPIV3Schema": structural_schema(kind.model)},
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
