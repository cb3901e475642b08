"""Read the documents of a YAML or JSON text that anybody may have written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

# libyaml where it is there: ten times as fast.
_Fastest: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):  # type: ignore[valid-type,misc] # chosen at run time
    """Takes y and n for booleans, as kubectl does: a variant called y would be planned and then refused."""

    bool_values: ClassVar = {**_Fastest.bool_values, "y": True, "n": False}


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))

MOST_DEPTH = 100
"""A pool has eight levels. libyaml's reader recurses on the C stack, and some ten thousand levels end the process."""

MOST_NODES = 1_000_000
"""Keys and values of one text, with each alias counted as what it stands for. A pool has a hundred; aliases of aliases
soon are more than a memory holds."""


class YamlError(Exception):
    """The text is not YAML, or not one that should be read."""


def documents(text: bytes) -> list[Any]:
    """The value of each document; None for empty ones.

    Raises:
        YamlError: where and why it can't be read.
    """
    try:
        _look_through(text)
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise YamlError(f"{where}{error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # What is no text in UTF-8 or UTF-16, and numbers and dates that are none, such as 2026-13-32.
        raise YamlError(" ".join(str(error).split())) from error


@dataclass
class _Open:
    """A mapping or sequence that has begun."""

    is_mapping: bool
    anchor: str | None
    size: int = 1
    children: int = 0
    keys: set[str] = field(default_factory=set)


def _look_through(text: bytes) -> None:
    """Refuse what would take the reader too far, before it builds anything."""
    sizes: dict[str, int] = {}
    stack = [_Open(is_mapping=False, anchor=None)]
    for event in yaml.parse(text, Loader=_Loader):
        match event:
            case yaml.CollectionStartEvent():
                _refuse_key(stack[-1], event)
                stack.append(_Open(is_mapping=isinstance(event, yaml.MappingStartEvent), anchor=event.anchor))
                _require(len(stack) <= MOST_DEPTH, event, f"more than {MOST_DEPTH} levels")
            case yaml.CollectionEndEvent():
                ended = stack.pop()
                _add(stack[-1], ended.size, event)
                sizes |= {} if ended.anchor is None else {ended.anchor: ended.size}
            case yaml.ScalarEvent():
                _note_key(stack[-1], event)
                _add(stack[-1], 1, event)
                sizes |= {} if event.anchor is None else {event.anchor: 1}
            case yaml.AliasEvent():
                name = str(event.anchor)
                _require(name in sizes, event, f"the alias {name} stands for nothing, or for what it is part of")
                _add(stack[-1], sizes[name], event)


def _add(into: _Open, size: int, event: yaml.Event) -> None:
    into.size, into.children = into.size + size, into.children + 1
    _require(into.size <= MOST_NODES, event, f"more than {MOST_NODES} keys and values")


def _is_key(container: _Open) -> bool:
    return container.is_mapping and container.children % 2 == 0


def _refuse_key(container: _Open, event: yaml.Event) -> None:
    _require(not _is_key(container), event, "a key must be a text")


def _note_key(container: _Open, event: yaml.ScalarEvent) -> None:
    """A key twice would silently replace the first one; the API server refuses it as well."""
    if _is_key(container):
        _require(event.value not in container.keys, event, f"the key {event.value[:60]} is there twice")
        container.keys.add(event.value)


def _require(holds: bool, event: yaml.Event, problem: str) -> None:
    if not holds:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type] # libyaml's own class, alike
