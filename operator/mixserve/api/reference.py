"""Reference pages in Markdown, made from the kinds."""

from collections.abc import Iterator

from mixserve.api.crd import wire_text
from mixserve.api.kinds import Kind
from mixserve.api.names import API_VERSION
from mixserve.api.schema import Schema, structural_schema


def reference_page(kind: Kind) -> str:
    """The page of a kind: every field with type, default, bounds and description, and the rules that span fields."""
    schema = structural_schema(kind.model)
    return "\n".join([*_introduction(kind, schema), *_tables(schema), *_rules(schema)])


def _introduction(kind: Kind, schema: Schema) -> Iterator[str]:
    scope = "namespaced" if kind.namespaced else "cluster-wide"
    yield f"# {kind.name}"
    yield ""
    yield f"`{API_VERSION}`, {scope}, `kubectl get {kind.plural}` or `kubectl get {kind.short_name}`."
    yield ""
    yield schema["description"]
    yield ""


def _tables(schema: Schema) -> Iterator[str]:
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield f"## {part}"
            yield ""
            yield schema["properties"][part]["description"]
            yield ""
            yield "| field | type | default | allowed | what it says |"
            yield "|---|---|---|---|---|"
            yield from _rows(schema["properties"][part], part)
            yield ""


def _rows(schema: Schema, path: str) -> Iterator[str]:
    for name, field in schema["properties"].items():
        where = f"{path}.{name}"
        cells = (f"`{where}`", _type(field), _default(schema, name), _allowed(field), field["description"])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _rows(inner, f"{where}[]" if "items" in field else where)


def _type(field: Schema) -> str:
    if "x-kubernetes-int-or-string" in field:
        return "integer or string"
    if "items" not in field:
        return str(field["type"])
    kind = {"map": "list by " + "".join(field.get("x-kubernetes-list-map-keys", ())), "set": "set", "atomic": "list"}
    return f"{kind[field['x-kubernetes-list-type']]} of {field['items']['type']}s"


def _default(parent: Schema, name: str) -> str:
    if name in parent.get("required", ()):
        return "needed"
    default = parent["properties"][name].get("default")
    return "" if default is None or isinstance(default, dict) else f"`{wire_text(default)}`"


def _allowed(field: Schema) -> str:
    own = "; ".join(_bounds(field))
    inner = "; ".join(_bounds(field["items"])) if "items" in field else ""
    return "; ".join(part for part in (own, inner and f"each {inner}") if part)


def _bounds(field: Schema) -> Iterator[str]:
    if "enum" in field:
        yield ", ".join(f"`{value}`" for value in field["enum"])
    if "minimum" in field:
        yield f"{field['minimum']} to {field['maximum']}"
    if "pattern" in field:
        yield f"`{field['pattern']}`"
    if "maxLength" in field:
        yield f"at most {field['maxLength']} characters"
    if "maxItems" in field:
        yield f"{field.get('minItems', 0)} to {field['maxItems']} entries"


def _rules(schema: Schema) -> Iterator[str]:
    yield "## Rules"
    yield ""
    yield "The API server refuses what breaks one of these."
    yield ""
    for path, rule in _every_rule(schema, ""):
        yield f"- {f'`{path}`: ' if path else ''}{rule}"
    yield ""


def _every_rule(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    if "items" in schema:
        yield from _every_rule(schema["items"], f"{path}[]")
    for name, field in schema.get("properties", {}).items():
        yield from _every_rule(field, f"{path}.{name}".removeprefix("."))
