"""From a name or path to a whole, right topology with the link profiles and the policy that it names (D7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from uclab.model import home
from uclab.model import trace as trace_file
from uclab.model.checks import (
    Check,
    air_mistakes,
    call_mistakes,
    condition_mistakes,
    extension_mistakes,
    peering_mistakes,
    policy_advice,
    policy_mistakes,
    power_mistakes,
    profile_mistakes,
    sdwan_mistakes,
    topology_advice,
    topology_mistakes,
    trust_mistakes,
)
from uclab.model.diagnostic import Diagnostic, TopologyError, closest, in_order, listed, shown
from uclab.model.policy import PolicyProfile
from uclab.model.profile import LinkProfile
from uclab.model.schema_validation import form
from uclab.model.source import parse, read_text
from uclab.model.topology import Topology
from uclab.model.trace import Trace
from uclab.model.yaml_location import Document, YamlLocation

M = TypeVar("M", bound=BaseModel)

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class LoadedTopology:
    """A topology that can be planned."""

    topology: Topology
    profiles: Mapping[str, LinkProfile]
    """Link profiles by what `Connection.profile` says."""
    policy: PolicyProfile
    source: Path
    """The file it was read from."""
    traces: Mapping[str, Trace] = field(default_factory=dict)
    """Recordings by what `Connection.profile` says, for profiles that have one."""
    warnings: tuple[Diagnostic, ...] = ()
    """What is allowed, but will not do what its writer hopes."""


def reference_directory() -> Path:
    """Where the reference topologies are: `topologies/` of the checkout, or its copy in the package."""
    package = Path(str(resources.files("uclab")))
    beside = package.parent / "topologies"
    return beside if (beside / "policies").is_dir() else package / "topologies"


def reference_topologies() -> dict[str, Path]:
    """The reference topologies by name."""
    return {path.stem: path for path in sorted(reference_directory().glob("*.yaml"))}


def load_topology(path_or_name: str | Path) -> LoadedTopology:
    """Load a topology by path, or a reference topology by name.

    Raises TopologyError with all mistakes of the topology and of the profiles and the policy that it names.
    """
    path, shown_as = _locate(path_or_name)
    main = _read(path, shown_as, Topology, topology_mistakes)
    if main.top is None:
        raise TopologyError(main.mistakes)
    mistakes = list(main.mistakes)

    profiles = _SearchPath(path.parent, "profiles", LinkProfile, profile_mistakes)
    policies = _SearchPath(path.parent, "policies", PolicyProfile, policy_mistakes)
    for site in main.top["sites"]:
        for connection in site["connections"]:
            mistakes += profiles.fetch(connection["profile"])
        for access_point in site["access_points"]:
            mistakes += profiles.fetch(access_point["profile"])
    for gateway in main.top["sd_wan"]["gateways"]:
        mistakes += profiles.fetch(gateway["profile"])
    traces, wrong = _traces(profiles)
    mistakes += wrong
    mistakes += condition_mistakes(main.top, profiles.values)
    mistakes += air_mistakes(main.top, profiles.values)
    mistakes += policies.fetch(main.top["policy"])
    for policy in policies.values.values():
        mistakes += extension_mistakes(main.top, policy)
        mistakes += trust_mistakes(main.top, policy)
        mistakes += power_mistakes(main.top, policy)
        mistakes += peering_mistakes(main.top, policy)
        mistakes += sdwan_mistakes(main.top, policy)
        mistakes += call_mistakes(main.top, policy, profiles.values)

    if mistakes or main.value is None:
        raise TopologyError(mistakes)
    said = main.value.policy
    warnings = in_order([*topology_advice(main.top), *policy_advice(policies.files[said][1])])
    return LoadedTopology(main.value, profiles.values, policies.values[said], path, traces, warnings)


def check(path_or_name: str | Path) -> tuple[Diagnostic, ...]:
    """All errors of a topology and of the files that it names; none where it can be planned."""
    try:
        load_topology(path_or_name)
    except TopologyError as error:
        return error.mistakes
    return ()


@dataclass(frozen=True)
class _File(Generic[M]):
    """What became of a file: its value where it is right, its top place where it is at least YAML."""

    value: M | None
    top: YamlLocation | None
    mistakes: tuple[Diagnostic, ...]


def _read(
    path: Path, shown_as: str, model: type[M], check_all: Check, named: _Named | None = None
) -> _File[M]:
    """A file with its mistakes. Of one that another file names, nothing is quoted unless it is of our
    kind."""
    text = ""
    try:
        text = read_text(path, shown_as, named.below if named else None)
        root, odd = parse(text, shown_as)
    except TopologyError as error:
        if named and text and not re.search(rf"^{named.key}:", text, re.MULTILINE):
            return _File(None, None, (named.is_none(shown_as),))
        return _File(None, None, error.mistakes)
    if named and not (isinstance(root.value, dict) and named.key in root.value):
        return _File(None, None, (named.is_none(shown_as),))
    document = Document(shown_as, root)
    formed = form(document, model, home.expand_home_router) if model is Topology else form(document, model)
    top = YamlLocation.top(formed.document)
    mistakes = (*odd, *formed.mistakes, *check_all(top))
    return _File(formed.value, top, mistakes)


@dataclass(frozen=True)
class _Named:
    """A file that another file names: what it must be, and where."""

    key: str
    """Its first key: `profile` or `policy`."""
    below: Path

    def is_none(self, file: str) -> Diagnostic:
        """The mistake that it is something else."""
        what = "link profile" if self.key == "profile" else "policy"
        return Diagnostic(file, 0, 0, "", f"is no {what}", f"a YAML mapping with `{self.key}: NAME`")


class _SearchPath(Generic[M]):
    """The profiles or policies that a topology can name: beside it first, then those of the references."""

    def __init__(self, beside: Path, folder: str, model: type[M], check_all: Check) -> None:
        self.beside = beside
        self.folders = list(dict.fromkeys((beside / folder, reference_directory() / folder)))
        self.model, self.check_all = model, check_all
        self.values: dict[str, M] = {}
        self.files: dict[str, tuple[Path, YamlLocation, Path]] = {}
        """Where each value comes from, and the folder below which its own files are."""
        self._read: dict[str, tuple[Diagnostic, ...]] = {}

    def fetch(self, place: YamlLocation) -> tuple[Diagnostic, ...]:
        """Read what a place names, once; its mistakes, or the one that there is no such thing."""
        name = place.text
        if name is None:
            return ()
        if name in self._read:
            return self._read[name]
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return (
                place.mistake(
                    f"{shown(name)} leads out of this file's folder",
                    "a name, or a path below this file's folder",
                ),
            )
        path = self._find(name)
        if path is None:
            if "/" in name:
                return (
                    place.mistake(f"there is no file {shown(name)}", "paths begin at this file's folder"),
                )
            known = sorted({path.stem for folder in self.folders for path in folder.glob("*.yaml")})
            what = "link profile" if self.model is LinkProfile else "policy"
            return (
                place.mistake(
                    f"there is no {what} {shown(name)}", f"known: {listed(known, 20)}", closest(name, known)
                ),
            )
        root = self.beside if path.is_relative_to(self.beside) else reference_directory()
        key = "profile" if self.model is LinkProfile else "policy"
        file = _read(path, _display(path), self.model, self.check_all, _Named(key, root))
        self._read[name] = (*file.mistakes, *self._misnamed(file.top, name))
        if file.value is not None and file.top is not None:
            self.values[name] = file.value
            self.files[name] = (path, file.top, root)
        return self._read[name]

    def _misnamed(self, top: YamlLocation | None, name: str) -> tuple[Diagnostic, ...]:
        """What is found by its file's name carries that name."""
        own = top["profile" if self.model is LinkProfile else "policy"] if top else None
        if own is None or own.text is None or own.text == name or not _NAME.fullmatch(name):
            return ()
        return (
            own.mistake(
                f"found {shown(own.text)} in a file named for {shown(name)}", f"allowed: {shown(name)}"
            ),
        )

    def _find(self, name: str) -> Path | None:
        if "/" in name or name.endswith((".yaml", ".yml")):
            path = self.beside / name
            return path if _exists(path) else None
        if not _NAME.fullmatch(name):
            return None
        return next((path for folder in self.folders if _exists(path := folder / f"{name}.yaml")), None)


def _traces(profiles: _SearchPath[LinkProfile]) -> tuple[dict[str, Trace], list[Diagnostic]]:
    """The recordings that profiles name, and what is wrong with them."""
    traces: dict[str, Trace] = {}
    mistakes: list[Diagnostic] = []
    for name, profile in profiles.values.items():
        if profile.trace is None:
            continue
        path, top, root = profiles.files[name]
        file = path.parent / profile.trace
        if not _exists(file):
            known = sorted(other.name for other in path.parent.glob("*.csv"))
            found = f"there is no file {shown(profile.trace)}"
            hint = closest(profile.trace, known)
            mistakes.append(top["trace"].mistake(found, "paths begin at this file's folder", hint))
            continue
        try:
            text = read_text(file, _display(file), root)
        except TopologyError as error:
            mistakes += error.mistakes
            continue
        trace, wrong = trace_file.read(text, _display(file), profile.trace_loop)
        mistakes += wrong
        if trace is not None:
            traces[name] = trace
    return traces, mistakes


def _locate(path_or_name: str | Path) -> tuple[Path, str]:
    """The topology's file, and how messages call it."""
    references = reference_topologies()
    name = str(path_or_name)
    if isinstance(path_or_name, str) and name in references:
        return references[name], _display(references[name])
    path = Path(path_or_name)
    if isinstance(path_or_name, str) and _NAME.fullmatch(name) and not _exists(path):
        found = "there is no such file or reference topology"
        raise TopologyError(
            [Diagnostic(name, 0, 0, "", found, f"known: {listed(references)}", closest(name, references))]
        )
    return path, "".join(c if c.isprintable() else "?" for c in name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _display(path: Path) -> str:
    """A path as messages show it: from the current folder where it lies below that."""
    try:
        here = Path.cwd()
    except OSError:  # the current folder was deleted
        return str(path)
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
