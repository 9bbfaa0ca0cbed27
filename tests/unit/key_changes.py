"""Changes one key of a file at a time, and sees whether anything comes of it: enumerated from the models, so
that no key can be forgotten."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from uclab.model import home
from uclab.model.diagnostic import TopologyError
from uclab.model.load import load_topology, reference_directory
from uclab.model.schema import MODELS
from uclab.model.schema_validation import without_free
from uclab.plan.capacity.calls_per_line import capacity
from uclab.plan.planner import make_plan
from uclab.plan.schema.codec import plan_to_json, to_data

ITEM = "[]"
KeyPath = tuple[str, ...]
Schema = dict[str, Any]

WORLDS = (
    "small-office", "smb-dual-wan", "cloudconnect-simplex-ott", "sd-wan", "wifi-office", "sdn-circuits",
    "internet-exchange", "hub-and-spoke", "soho-all-in-one", "soho-bridge-modem", "mpls-branch",
    "satellite-leo", "satellite-geo",
)  # fmt: skip
"""Topologies in which a change is tried, the first in which the key can stand and something comes of it."""
SAMPLES: dict[str, Any] = {
    # what the shipped files leave out; as small as it can be
    "bursts": {"enter_pct": 1, "leave_pct": 50, "lost_pct": 90},
    "gateway": "192.168.16.5",
    "timetable": {"changes": [{"at_s": 1, "add_loss_pct": 1}]},
    "trace": "drive.csv",
}


COMPANIONS: dict[tuple[str, KeyPath], dict[str, Any]] = {
    # what must stand beside a key, before and after, so that it can have an effect
    ("policy", ("power", ITEM, "device")): {"watts": 60},
    ("policy", ("traffic", "opus_kbps")): {"codec": "Opus"},
}
WORDS = (
    "near", "far", "30 m", "rain", "25-28", "30-32", "20000-21000", "10.99.0.0/16", "198.18.77.0/24",
    "203.0.113.0/27", "x.test", "+493055509999", "sw1/7", "isp1", "data", "CS1", "1.3",
)  # fmt: skip
"""Texts to be tried wherever text stands; the model takes those that fit."""


@dataclass(frozen=True)
class File:
    """A file of the tried world, as data."""

    kind: str
    path: Path
    data: dict[str, Any]


def keys_of(kind: str) -> list[tuple[KeyPath, Schema]]:
    """Every key of a kind of file that holds a value, with its schema."""
    whole = MODELS[kind].model_json_schema()
    return list(_leaves(whole, whole, ()))


def _leaves(schema: Schema, whole: Schema, path: KeyPath) -> Iterator[tuple[KeyPath, Schema]]:
    schema = _resolved(schema, whole)
    if "properties" in schema:
        for name, child in schema["properties"].items():
            yield from _leaves(child, whole, (*path, name))
        return
    items = _resolved(schema["items"], whole) if isinstance(schema.get("items"), dict) else {}
    if "properties" in items:
        yield from _leaves(items, whole, (*path, ITEM))
    else:
        yield path, {**schema, "items": items} if items else schema


def _resolved(schema: Schema, whole: Schema) -> Schema:
    if "$ref" in schema:
        return _resolved(whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]], whole)
    if "allOf" in schema:
        return _resolved(schema["allOf"][0], whole)
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    if options and len(options) < len(schema["anyOf"]):
        return _resolved(options[0], whole) if len(options) == 1 else {**schema, "anyOf": options}
    return schema


class World:
    """A copy of a shipped topology with its policy and profiles, in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        shutil.copytree(reference_directory(), self.folder)
        loaded = load_topology(self.folder / f"{name}.yaml")
        used = sorted(loaded.profiles)
        self._topology = self.folder / f"{name}.yaml"
        self.files = [
            File("topology", self._topology, _read(self._topology)),
            File("policy", path := self.folder / "policies" / f"{loaded.policy.policy}.yaml", _read(path)),
            *(File("profile", path, _read(path)) for one in used
              if (path := self.folder / "profiles" / f"{one}.yaml").exists()),
        ]  # fmt: skip
        self.usual = self.outcome()

    def outcome(self) -> str:
        """All that comes of the files: mistakes, or plan, capacity and warnings."""
        try:
            loaded = load_topology(self._topology)
        except TopologyError as error:
            return str(error)
        plan = make_plan(loaded)
        words = [str(warning) for warning in loaded.warnings]
        return json.dumps([plan_to_json(plan), to_data(capacity(loaded, plan)), words])

    def effect(self, kind: str, key: KeyPath, schema: Schema) -> bool:
        """Whether another value of the key, one that it may have, changes what comes of the files."""
        for file in (file for file in self.files if file.kind == kind):
            beside = COMPANIONS.get((kind, key), {})
            usual = self._outcome_with(file, _beside(file.data, key, beside)) if beside else self.usual
            for changed in _variants(_beside(file.data, key, beside), key, schema):
                if _in_form(kind, changed) and self._outcome_with(file, changed) != usual:
                    return True
        return False

    def _outcome_with(self, file: File, data: dict[str, Any]) -> str:
        file.path.write_text(_written(data))
        try:
            return self.outcome()
        finally:
            file.path.write_text(_written(file.data))


def _beside(data: dict[str, Any], key: KeyPath, values: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    for place in _places(changed, key, ()) if values else ():
        parent: Any = changed
        for step in place[:-1]:
            parent = parent[step]
        parent.update(values)
    return changed


def _written(data: dict[str, Any]) -> str:
    return str(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True))


def _read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    path.write_text(_written(data))
    return data


def _in_form(kind: str, data: dict[str, Any]) -> bool:
    """Whether the model takes the data: a value that it refuses says nothing about the key's effect."""
    try:
        whole = home.expand_home_router(data) if kind == "topology" else data
        MODELS[kind].model_validate_json(json.dumps(without_free(whole)))
    except ValidationError:
        return False
    return True


def _variants(data: dict[str, Any], key: KeyPath, schema: Schema) -> Iterator[dict[str, Any]]:
    """The data with other values at a key: at each place where it stands or could stand, up to four."""
    data = copy.deepcopy(data)
    for place in _places(data, key, ())[:4]:
        changed = copy.deepcopy(data)
        parent: Any = changed
        for step in place[:-1]:
            parent = parent[step]
        present = parent.get(place[-1])
        for value in _other_values(present, schema, place[-1]):
            parent[place[-1]] = value
            yield copy.deepcopy(changed)


def _places(data: Any, key: KeyPath, before: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    if not isinstance(data, dict):
        return []
    name, rest = key[0], key[1:]
    if not rest:
        return [(*before, name)]
    if name not in data or data[name] is None:
        sample = SAMPLES.get(name)
        if sample is None and rest[0] != ITEM:
            sample = {}
        if sample is None:
            return []
        data[name] = copy.deepcopy(sample)
    if rest[0] == ITEM:
        items = data[name] if isinstance(data[name], list) else []
        return [p for n, one in enumerate(items) for p in _places(one, rest[1:], (*before, name, n))]
    return _places(data[name], rest, (*before, name))


def _other_values(present: Any, schema: Schema, name: str) -> Iterator[Any]:
    if name in SAMPLES and present is None:
        yield SAMPLES[name]
    if "enum" in schema or "const" in schema:
        yield from (one for one in schema.get("enum", [schema.get("const")]) if one != present)
    if schema.get("const") is True or schema.get("type") == "boolean":
        yield not present if isinstance(present, bool) else True
        yield False
        return
    if isinstance(present, bool):
        return
    kinds = [schema, *schema.get("anyOf", [])]
    if any(kind.get("type") in ("integer", "number") for kind in kinds):
        low = float(schema.get("minimum", schema.get("exclusiveMinimum")) or 0)
        known: float = present if isinstance(present, int | float) else low
        numbers = [known + 1, known * 2, known - 1, known / 2, known * 3, low + 1, schema.get("maximum", 1e6)]
        whole = any(kind.get("type") == "integer" for kind in kinds)
        yield from dict.fromkeys(int(n) if whole else n for n in numbers if n != present)
    if schema.get("type") == "array":
        entries = list(present or [])
        yield entries[:-1]
        yield entries[1:]
        yield [*reversed(entries)]
        for one in [201, *_other_values(None, schema.get("items", {}), name)]:
            yield [*entries, one]
    if any(kind.get("type") == "string" for kind in kinds) and not isinstance(present, list):
        text = str(present) if present is not None else "other"
        yield from (f"{text}x", f"{text} x", text[:-1], text.replace("1", "2"), *WORDS)


def refuses_all_others(schema: Schema) -> bool:
    """Whether a key has one value only: its effect is that any other is a mistake."""
    return "const" in schema
