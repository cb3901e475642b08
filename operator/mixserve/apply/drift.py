"""Does an object in the cluster still say all that was applied? Pure, on whole objects.

What the API server adds (defaults, status, fields of others) does not count; what it writes differently (quantities,
left out empty values) counts as equal. In doubt the answer is no: then an apply is sent that changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Keys of list items, as the API's list maps have them, the more telling first.
_ITEM_KEYS = ("name", "mountPath", "containerPort", "uid", "topologyKey")
_QUANTITY_PARENTS = frozenset({"limits", "requests", "capacity"})
_QUANTITY_KEYS = frozenset({"sizeLimit"})
_BINARY = {f"{prefix}i": 2 ** (10 * power) for power, prefix in enumerate("KMGTPE", start=1)}
_DECIMAL = {prefix: 10 ** (3 * power) for power, prefix in enumerate("kMGTPE", start=1)}
_SUFFIXES = {**_BINARY, **_DECIMAL, "m": Decimal("0.001")}


def first_difference(desired: Mapping[str, Any], live: Mapping[str, Any]) -> str | None:
    """The path of a field that `live` does not have as `desired` wants it, or None where there is none."""
    return _mapping(desired, live, "", quantities=False)


def _mapping(desired: Mapping[str, Any], live: Mapping[str, Any], path: str, *, quantities: bool) -> str | None:
    for key, value in desired.items():
        is_quantity = quantities or key in _QUANTITY_KEYS
        found = _value(value, live.get(key), f"{path}.{key}", key, quantity=is_quantity)
        if found:
            return found.removeprefix(".")
    return None


def _value(desired: Any, live: Any, path: str, key: str, *, quantity: bool) -> str | None:
    if _is_empty(desired) and _is_empty(live):
        return None
    if isinstance(desired, dict) and isinstance(live, dict):
        return _mapping(desired, live, path, quantities=key in _QUANTITY_PARENTS)
    if isinstance(desired, list | tuple) and isinstance(live, list):
        return _list(desired, live, path)
    if quantity:
        return None if _quantity(desired) == _quantity(live) else path
    return None if type(desired) is type(live) and desired == live else path


def _list(desired: Sequence[Any], live: Sequence[Any], path: str) -> str | None:
    key = _item_key(desired, live)
    if key is None:
        if len(desired) != len(live):
            return path
        pairs = [(str(i), want, have) for i, (want, have) in enumerate(zip(desired, live, strict=True))]
    else:
        by_key = {item[key]: item for item in live}
        pairs = [(f"{key}={want[key]}", want, by_key.get(want[key])) for want in desired]
    differences = (_value(want, have, f"{path}[{where}]", "", quantity=False) for where, want, have in pairs)
    return next(filter(None, differences), None)


def _item_key(desired: Sequence[Any], live: Sequence[Any]) -> str | None:
    items = [*desired, *live]
    if not all(isinstance(item, dict) for item in items):
        return None
    return next((key for key in _ITEM_KEYS if all(key in item for item in items)), None)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | tuple | str) and len(value) == 0)


def _quantity(value: Any) -> Decimal | str:
    text = str(value)
    number, factor = text, Decimal(1)
    for suffix, weight in _SUFFIXES.items():
        if text.endswith(suffix):
            number, factor = text.removesuffix(suffix), Decimal(weight)
            break
    try:
        return Decimal(number) * factor
    except ArithmeticError:
        return text
