"""Whether a document has the form of a model: pydantic decides, this module says it to the file's writer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.source import plain
from uclab.model.written import network_meant, number_meant
from uclab.model.yaml_location import Document, Path, YamlLocation

M = TypeVar("M", bound=BaseModel)
Schema = dict[str, Any]

_OWN_WORDS = frozenset({"dscp", "port_range", "network", "address", "domain", "cloud_service"})
"""Error types of our own, whose message says already what is allowed."""

MERGE = "<<"
"""YAML 1.1's merge key, which no later version has."""


FREE = "x-"
"""How keys begin that a file's writer may add at its top, for anchors and notes: nothing reads them."""
GONE = {"provider_prefixes": "nothing ever read it; leave it out, or call it `x-provider-prefixes`"}
"""Keys of earlier versions, and what became of them."""


@dataclass(frozen=True)
class Validated(Generic[M]):
    """A document held against a model: the typed value where all is right, the mistakes where not."""

    document: Document
    value: M | None
    mistakes: tuple[Diagnostic, ...]


def form(
    document: Document, model: type[M], furnished: Callable[[Any], Any] = lambda data: data
) -> Validated[M]:
    """Hold a document against a model, after `furnished` has filled in what other keys stand for. JSON is the
    way in: there strict models still take lists and text."""
    try:
        text = json.dumps(furnished(without_free(plain(document.root))))
        return Validated(document, model.model_validate_json(text), ())
    except ValidationError as error:
        details = error.errors(include_url=False)
    judged = replace(document, wrong=frozenset(tuple(detail["loc"]) for detail in details))
    top = YamlLocation.top(judged)
    mistakes = tuple(_in_words(d, top, model) for d in _without_followers(details, top))
    return Validated(judged, None, mistakes)


def mistakes_in(place: YamlLocation, model: type[BaseModel]) -> Iterator[Diagnostic]:
    """What of a part of a document does not have the form of a model that only its content names."""
    value = place.value if place.given else {}
    try:
        model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield _in_words(detail, place, model)


def without_free(data: Any) -> Any:
    """The document without what its writer added for themselves."""
    return {k: v for k, v in data.items() if not k.startswith(FREE)} if isinstance(data, dict) else data


def _without_followers(details: list[ErrorDetails], top: YamlLocation) -> Iterator[ErrorDetails]:
    """Leave out what only follows from another mistake: one message for each thing to fix."""
    unknown: dict[Path, list[str]] = {}
    for detail in details:
        if detail["type"] == "extra_forbidden":
            unknown.setdefault(tuple(detail["loc"][:-1]), []).append(str(detail["loc"][-1]))
    for detail in details:
        path: Path = tuple(detail["loc"])
        node = top.at(path).node
        if detail["type"] != "extra_forbidden" and path and _is_cut(top.at(path), top.at(path[:-1])):
            continue  # the comma is told
        entries_too = any(
            other["loc"][: len(path)] == path and len(other["loc"]) > len(path) for other in details
        )
        if detail["type"] == "too_short" and entries_too:
            continue  # pydantic does not count entries that are wrong
        if detail["type"] == "missing":
            others = unknown.get(path[:-1], [])
            if MERGE in others or any(closest(key, [str(path[-1])]) for key in others):
                continue  # misspelt, or what a merge key was to bring
        elif node is not None and node.tagged:
            continue  # the tag is a mistake already, whatever the value
        yield detail


def _in_words(detail: ErrorDetails, top: YamlLocation, model: type[BaseModel]) -> Diagnostic:
    path: Path = tuple(detail["loc"])
    schema = _schema_at(model, path)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(top, path, _schema_at(model, path[:-1]))
    place = top.at(path)
    if detail["type"] == "missing":
        return top.at(path[:-1]).mistake(f"key `{path[-1]}` is missing", f"give {describe(schema)}")
    found = _found(place.value, schema)
    if detail["type"] in _OWN_WORDS:
        return place.mistake(found, detail["msg"], network_meant(place.value))
    meant = number_meant(place.value, path[-1]) if schema.get("type") in ("integer", "number") else None
    if meant is not None and meant != place.value:
        return place.mistake(found, f"allowed: {describe(schema)}", meant)
    if schema.get("type") == "array" and isinstance(place.value, str):
        return place.mistake(found, f"allowed: a list, such as {shown(f'[{place.value}]')}")
    return place.mistake(found, f"allowed: {describe(schema)}", closest(place.value, _choices(schema)))


def _unknown_key(top: YamlLocation, path: Path, schema: Schema) -> Diagnostic:
    parent, key = top.at(path[:-1]), str(path[-1])
    known = schema.get("properties", {})
    found, allowed = f"unknown key {shown(key)}", f"known here: {listed(known, 20)}"
    hint = closest(key, known)
    if key == MERGE:
        found, allowed, hint = "a merge key", "write the keys out", None
    elif key in GONE:
        allowed, hint = GONE[key], None
    elif key.startswith(FREE):
        allowed, hint = f"keys of your own, `{FREE}...`, stand at the top of the file", None
    elif thousands := _cut_number(parent, key):
        allowed, hint = "a comma ends the value in front of it; numbers have none", thousands
    line, column = parent.node.keys.get(key, (parent.line, parent.column)) if parent.node else (0, 0)
    return replace(parent.mistake(found, allowed, hint), line=line, column=column)


def _cut_number(parent: YamlLocation, key: str) -> str | None:
    """`{rate_kbps: 10,000}` is a rate of 10, and a key `000`: what was meant. With less than three digits it
    was a decimal comma."""
    inside = parent.node.value if parent.node is not None else None
    if not isinstance(inside, dict) or not re.fullmatch("[0-9]{1,3}", key) or inside[key].value is not None:
        return None
    keys = list(inside)
    before = keys[keys.index(key) - 1] if keys.index(key) else ""
    number = inside[before].value if before else None
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return f"{before}: {number}{'' if len(key) == 3 else '.'}{key}"


def _is_cut(place: YamlLocation, parent: YamlLocation) -> bool:
    """Whether a value is what a comma left of a number."""
    inside = parent.node.value if parent.node is not None else None
    if not isinstance(inside, dict) or not place.path:
        return False
    keys = list(inside)
    after = keys[keys.index(str(place.path[-1])) + 1 :] if place.path[-1] in inside else []
    return bool(after) and _cut_number(parent, after[0]) is not None


def _found(value: Any, schema: Schema) -> str:
    """What was found, with its type where the type is what is wrong."""
    wanted = schema.get("type")
    if wanted == "string" and isinstance(value, int | float):
        return f"found {shown(value)}, which is {'true or false' if isinstance(value, bool) else 'a number'}"
    if wanted in ("integer", "number", "boolean") and isinstance(value, str):
        return f"found the text {shown(value)}"
    return f"found {shown(value)}"


@cache
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _schema_at(model: type[BaseModel], path: Path) -> Schema:
    """The part of a model's JSON Schema about the value at a path; empty where the path is unknown."""
    whole = _schema(model)
    schema = whole
    for key in path:
        child = schema.get("items", {}) if isinstance(key, int) else schema.get("properties", {}).get(key, {})
        schema = _resolved(child, whole)
    return schema


def _resolved(schema: Schema, whole: Schema) -> Schema:
    if "$ref" in schema:
        return _resolved(whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]], whole)
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return _resolved(options[0], whole) if len(options) == 1 else schema


def describe(schema: Schema) -> str:
    """What a schema allows, in words: `a whole number from 1 to 4094`."""
    if choices := _choices(schema):
        return listed(choices) if len(choices) == 1 else f"one of {listed(choices)}"
    if "patternErrorMessage" in schema:
        return str(schema["patternErrorMessage"])
    match schema.get("type"):
        case "integer":
            return "a whole number" + _range(schema)
        case "number":
            return "a number" + _range(schema)
        case "boolean":
            return "`true` or `false`"
        case "array":
            return "a list" + _entries(schema.get("minItems", 0), schema.get("maxItems"))
        case "object":
            return f"a mapping with {listed(schema.get('required') or schema.get('properties', {}))}"
        case "string" if "maxLength" in schema:
            return f"text of 1 to {schema['maxLength']} characters, in quotes if it looks like a number"
        case "string":
            return str(schema.get("description") or "text, in quotes if it looks like a number").rstrip(".")
    return str(schema.get("description") or "another value").rstrip(".")


def _entries(least: int, most: int | None) -> str:
    if most is not None:
        return f" of {least} to {most} entries"
    return f" with at least {'one entry' if least == 1 else f'{least} entries'}" if least else ""


def _range(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    begin = "above" if "exclusiveMinimum" in schema else "from"
    return (
        f" {begin} {_short(low)} {'and at most' if begin == 'above' else 'to'} {_short(high)}"
        if high is not None
        else ""
    )


def _short(number: float | int | None) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _choices(schema: Schema) -> list[str]:
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    return [value if isinstance(value, str) else str(value).lower() for value in values]
