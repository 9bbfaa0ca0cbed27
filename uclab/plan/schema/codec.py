"""Frozen dataclasses to JSON and back, exactly: what the lab's processes and the files of a run exchange."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from uclab.plan.schema.plan import Plan

T = TypeVar("T")


def to_data(value: object) -> Any:
    """Plain JSON data of a dataclass: tuples become lists, enums their values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_data(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    return value


def from_data(kind: type[T], data: object) -> T:
    """The dataclass that `to_data` made `data` of. Unknown or missing fields and wrong shapes raise
    `ValueError` naming the field."""
    result: T = _read(kind, data, kind.__name__)
    return result


def plan_to_json(plan: Plan) -> str:
    """The plan as stable, indented JSON text."""
    return json.dumps(to_data(plan), indent=1) + "\n"


def plan_from_json(text: str) -> Plan:
    """The plan that `plan_to_json` wrote."""
    return from_data(Plan, json.loads(text))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, data: Any, where: str) -> Any:
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, data, where)
    if origin is tuple:
        return _read_tuple(get_args(kind), data, where)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), data, where)
    if origin is Literal:
        if data not in get_args(kind):
            raise ValueError(f"{where}: {data!r} is not one of {get_args(kind)}")
        return data
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return _finite(data, where)
    wrong_bool = isinstance(data, bool) and kind is not bool
    if isinstance(kind, type) and (wrong_bool or not isinstance(data, kind)):
        raise ValueError(f"{where}: expected {kind.__name__}, found {data!r}")
    return data


def _finite(data: float, where: str) -> float:
    try:
        value = float(data)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{where}: a number that is beyond any figure")
    return value


def _read_dataclass(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where}: expected an object, found {data!r}")
    hints = _hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - known):
        raise ValueError(f"{where}: unknown field {unknown[0]!r}")
    values = {name: _read(hints[name], item, f"{where}.{name}") for name, item in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _read_tuple(kinds: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise ValueError(f"{where}: expected a list, found {data!r}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], item, f"{where}[{number}]") for number, item in enumerate(data))
    if len(kinds) != len(data):
        raise ValueError(f"{where}: expected {len(kinds)} items, found {len(data)}")
    pairs = enumerate(zip(kinds, data, strict=True))
    return tuple(_read(kind, item, f"{where}[{number}]") for number, (kind, item) in pairs)


def _read_union(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _read(kind, data, where)
        except ValueError:
            continue
    raise ValueError(f"{where}: {data!r} fits none of {kinds}")
