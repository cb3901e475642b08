"""Manifests made from the schema of a kind: for each field what is good and what is bad, and the same for each rule.

A field that no manifest sets, a pattern without examples and a rule without examples raise an error: whoever adds
one adds its examples here.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mixserve.api.schema import structural_schema
from support.crd_examples import FULL_LISTS, PATTERNS, REMOVED, RULES, companions
from support.crd_manifests import MANIFESTS, OTHER_MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mixserve.api.kinds import Kind

Path = tuple[str | int, ...]
T = TypeVar("T")

WRONG_TYPES: Mapping[str, tuple[Any, ...]] = {
    "string": (7, True, ["x"], {"x": "y"}),
    "integer": ("3", 1.5, True, [3]),
    "boolean": ("true", 1, "yes"),
    "object": ("x", ["x"], 7),
    "array": ("x", {"x": "y"}, 7),
    "integer or string": ("3", 1.5, True, [3], {"x": "y"}),
}


@dataclass(frozen=True)
class Case:
    """A manifest, and what is to be said of it.

    Attributes:
        what: the field and what is done to it.
        kind: the kind of the manifest.
        part: spec or status; the status is only checked where it is written on its own.
        manifest: decoded.
        good: whether it must be accepted.
        says: what an error must contain: where, or which rule.
    """

    what: str
    kind: Kind
    part: str
    manifest: dict[str, Any]
    good: bool
    says: str = ""


def corpus(kind: Kind) -> Iterator[Case]:
    """All cases of a kind."""
    schema = structural_schema(kind.model)
    maker = _Maker(kind)
    yield maker.case((), "as it is", good=True)
    yield maker.case(("unknownField",), "unknown", good=False, value="x")
    yield maker.case(("spec",), "removed", good=False, value=REMOVED)
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield from maker.field((part,), schema["properties"][part], required=part == "spec")
    yield from maker.rules((), schema)


@dataclass(frozen=True)
class _Maker:
    kind: Kind

    def manifest(self, path: Path) -> Mapping[str, Any]:
        """The one that sets a field, or at least what the field is in."""
        candidates = (MANIFESTS[self.kind.name], OTHER_MANIFESTS.get(self.kind.name, {}))
        return next((each for where in (path, path[:-1]) for each in candidates if _is_set(each, where)), candidates[0])

    def case(self, path: Path, what: str, *, good: bool, value: Any = None, says: str | None = None) -> Case:
        return self.patched(path, what, good=good, says=says, patches={path: value} if path else {})

    def patched(
        self, path: Path, what: str, *, good: bool, patches: Mapping[Path, Any], says: str | None = None
    ) -> Case:
        manifest = copy.deepcopy(self.manifest(path))
        for where, value in patches.items():
            _put(manifest, where, value)
        text = dotted(path)
        return Case(
            what=f"{self.kind.name} {text or 'root'} {what}",
            kind=self.kind,
            part="status" if path[:1] == ("status",) else "spec",
            manifest=manifest,
            good=good,
            says="" if good else text if says is None else says,
        )

    def good(self, path: Path, what: str, value: Any) -> Case:
        patches = {path: value, **companions(dotted(path), value)}
        return self.patched(path, what, good=True, patches=patches)

    def field(
        self, path: Path, schema: Mapping[str, Any], *, required: bool, under_rule: bool = False
    ) -> Iterator[Case]:
        _ensure_set(self.manifest(path), path)
        for wrong in WRONG_TYPES[_type(schema)]:
            yield self.case(path, f"is {wrong!r}", good=False, value=wrong)
        if isinstance(path[-1], str):
            # The API server prunes null; what is then missing may be needed.
            yield self.case(path, "is null", good=False, value=None) if required else self.good(path, "is null", None)
        else:
            yield self.case(path, "is null", good=False, value=None)
        yield from self.values(path, schema, under_rule=under_rule)

    def values(self, path: Path, schema: Mapping[str, Any], *, under_rule: bool) -> Iterator[Case]:
        match _type(schema):
            case _ if "enum" in schema:
                yield from self.enum(path, schema)
            case "integer or string":
                yield from self.integer(path, schema, under_rule=True)
                yield from self.string(path, schema)
            case "integer":
                yield from self.integer(path, schema, under_rule=under_rule)
            case "string":
                yield from self.string(path, schema)
            case "array":
                yield from self.array(path, schema)
            case "object":
                yield from self.object(path, schema)
            case "boolean":
                yield from (self.good(path, f"is {value}", value) for value in (True, False))

    def enum(self, path: Path, schema: Mapping[str, Any]) -> Iterator[Case]:
        for value in schema["enum"]:
            yield self.good(path, f"is {value!r}", value)
        unknown = "Unheard" if schema["type"] == "string" else 7
        yield self.case(path, f"is {unknown!r}", good=False, value=unknown)

    def integer(self, path: Path, schema: Mapping[str, Any], *, under_rule: bool) -> Iterator[Case]:
        if not under_rule and not self.is_named_in_a_rule(path):
            # Beside a rule the API server takes 3.0 for no integer; kubectl sends 3 anyway.
            yield self.good(path, "is a whole float", float(schema.get("minimum", 3)))
        if "minimum" in schema:
            yield self.good(path, "is the minimum", schema["minimum"])
            yield self.case(path, "is below the minimum", good=False, value=schema["minimum"] - 1)
            yield self.good(path, "is the maximum", schema["maximum"])
            yield self.case(path, "is above the maximum", good=False, value=schema["maximum"] + 1)
            yield self.case(path, "is as large as 64 bits can be", good=False, value=2**63 - 1)
            yield self.case(path, "is beyond 64 bits", good=False, value=2**70)

    def is_named_in_a_rule(self, path: Path) -> bool:
        """Whether a rule of an object further out compares the field."""
        # Of a list's entries, a rule has the list's name and, behind one of its own for the entry, the field's.
        names = (str(path[-3]), f".{path[-1]}") if isinstance(path[-2], int) else (f"{path[-2]}.{path[-1]}",)
        rules = _rules_within(structural_schema(self.kind.model))
        return any(all(name in rule["rule"] for name in names) for rule in rules)

    def string(self, path: Path, schema: Mapping[str, Any]) -> Iterator[Case]:
        if "pattern" not in schema:
            yield self.good(path, "is a text", "Some text, with ünïcode")
            return
        examples = _examples(PATTERNS, schema["pattern"], f"the pattern {schema['pattern']!r} of {dotted(path)}")
        for value in examples.good:
            yield self.good(path, f"is {value!r}", value)
        for value in examples.bad:
            yield self.case(path, f"is {value!r}", good=False, value=value)
        if "maxLength" in schema:
            if examples.may_be_long:
                yield self.good(path, "is as long as it may be", examples.long(schema["maxLength"]))
            yield self.case(path, "is too long", good=False, value=examples.long(schema["maxLength"] + 1))

    def array(self, path: Path, schema: Mapping[str, Any]) -> Iterator[Case]:
        present = _get(self.manifest(path), path)
        if "minItems" in schema:
            yield self.case(path, "has too few entries", good=False, value=present[: schema["minItems"] - 1])
        else:
            yield self.good(path, "is empty", [])
        if "maxItems" in schema:
            entries = list(_distinct(present[0], schema, schema["maxItems"] + 1))
            yield self.case(path, "has too many entries", good=False, value=entries)
            if "enum" not in _key_schema(schema):
                full = FULL_LISTS.get(dotted(path), entries[:-1])
                yield self.good(path, "has as many entries as it may", full)
        if schema["x-kubernetes-list-type"] != "atomic":
            yield self.case(path, "has an entry twice", good=False, value=[present[0], copy.deepcopy(present[0])])
        yield from self.field((*path, 0), schema["items"], required=True)

    def object(self, path: Path, schema: Mapping[str, Any]) -> Iterator[Case]:
        yield self.case((*path, "unknownField"), "is unknown", good=False, value="x", says="unknownField")
        required = schema.get("required", [])
        for name, member in schema["properties"].items():
            if name in required:
                yield self.case((*path, name), "is removed", good=False, value=REMOVED)
            else:
                yield self.good((*path, name), "is removed", REMOVED)
            yield from self.field(
                (*path, name), member, required=name in required, under_rule="x-kubernetes-validations" in schema
            )

    def rules(self, path: Path, schema: Mapping[str, Any]) -> Iterator[Case]:
        for where, node in _nodes(path, schema):
            for rule in _rules(node):
                message = rule["message"]
                pairs = _examples(RULES, message, f"the rule {message!r} of {dotted(where)}")
                for index, (good, bad) in enumerate(pairs):
                    for patches, is_good in ((good, True), (bad, False)):
                        yield self.patched(
                            where,
                            f"{'keeps' if is_good else 'breaks'} rule {message!r} ({index})",
                            good=is_good,
                            patches={(*where, *suffix): value for suffix, value in patches.items()},
                            says=message,
                        )


def _examples(table: Mapping[str, T], key: str, what: str) -> T:
    if key not in table:
        raise LookupError(f"there are no examples for {what}")
    return table[key]


def dotted(path: Path) -> str:
    """A path as errors show it: spec.variants[0].name."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _nodes(path: Path, schema: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    yield path, schema
    if "items" in schema:
        yield from _nodes((*path, 0), schema["items"])
    for name, member in schema.get("properties", {}).items():
        yield from _nodes((*path, name), member)


def _rules(schema: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return schema.get("x-kubernetes-validations", [])


def _key_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    items = schema["items"]
    key = schema.get("x-kubernetes-list-map-keys", [None])[0]
    return items["properties"][key] if key else items


def _distinct(entry: Any, schema: Mapping[str, Any], count: int) -> Iterator[Any]:
    keys = schema.get("x-kubernetes-list-map-keys")
    for number in range(count):
        match schema["x-kubernetes-list-type"]:
            case "map":
                is_number = schema["items"]["properties"][keys[0]]["type"] == "integer"
                yield {**copy.deepcopy(entry), keys[0]: number + 1 if is_number else f"n{number}"}
            case "set":
                yield f"n{number}"
            case _:
                yield copy.deepcopy(entry)


def _get(manifest: Any, path: Path) -> Any:
    for part in path:
        manifest = manifest[part]
    return manifest


def _is_set(manifest: Any, path: Path) -> bool:
    try:
        _get(manifest, path)
    except (KeyError, IndexError):
        return False
    return True


def _ensure_set(manifest: Any, path: Path) -> None:
    if not _is_set(manifest, path):
        raise LookupError(f"no example manifest sets {dotted(path)}")


def _put(manifest: Any, path: Path, value: Any) -> None:
    parent = _get(manifest, path[:-1])
    if value is REMOVED:
        parent.pop(path[-1], None)
    else:
        parent[path[-1]] = copy.deepcopy(value)


def _type(schema: Mapping[str, Any]) -> str:
    return "integer or string" if "x-kubernetes-int-or-string" in schema else str(schema["type"])


def _rules_within(schema: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    yield from schema.get("x-kubernetes-validations", ())
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else ())):
        yield from _rules_within(inner)
