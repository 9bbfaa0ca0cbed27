"""A run directory as the judge reads it (layout: `uclab.plan.records`). Missing files are missing evidence,
not errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from uclab.judge.json_lines import json_lines
from uclab.judge.life import still_runs
from uclab.judge.load_files import Load, load_load
from uclab.plan.capture_record import FILE as TIMES_FILE
from uclab.plan.capture_record import CaptureTime
from uclab.plan.codec import from_data, plan_from_json
from uclab.plan.host_pressure_record import FILE as PRESSURE_FILE
from uclab.plan.host_pressure_record import LINES, HostSample, LateLine
from uclab.plan.load_record import FOLDER
from uclab.plan.overlay_record import FILE as PATHS_FILE
from uclab.plan.overlay_record import PathRecord
from uclab.plan.records import CallRecord, Checks, Event, Incident, ScenarioRecord
from uclab.plan.types import Plan

Record = TypeVar("Record")


class RunError(ValueError):
    """A run directory that cannot be judged; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Run:
    """What a run left behind: the clean plan (what should be), calls and events, and where the captures
    are."""

    plan: Plan
    calls: tuple[CallRecord, ...] = ()
    events: tuple[Event, ...] = ()
    captures: tuple[Path, ...] = ()
    paths: tuple[PathRecord, ...] = ()
    """What the SD-WAN's controller measured."""
    keylog: Path | None = None
    authority: Path | None = None
    """The lab CA's certificate (PEM)."""
    tap_names: dict[str, dict[str, str]] = field(default_factory=dict)
    """Namespace -> kernel interface -> tap label, where the captures could not carry the labels
    themselves."""
    checks: Checks = "reference"
    """What it is to be judged by."""
    incidents: tuple[Incident, ...] = ()
    load: Load = field(default_factory=Load)
    """What a campaign's load generators told."""
    late_lines: tuple[LateLine, ...] = ()
    """When the emulated lines were late, by their own accounts."""
    capture_times: tuple[CaptureTime, ...] = ()
    """When each capture was running, by the lab's own record."""
    pressure: tuple[HostSample, ...] = ()
    """How the machine served the lab's programs."""
    alive: bool = False
    """The lab still runs, and writes on."""

    def label(self, namespace: str, interface: str) -> str:
        """The tap label of an interface of a capture file; by default the name that the capture gives."""
        return self.tap_names.get(namespace, {}).get(interface, interface)

    def file_of(self, tap: str) -> Path | None:
        """The capture file of a tap's namespace; of a load generator on another machine, that of the switch
        where its cable ends."""
        stems = {path.stem: path for path in self.captures}
        for known in self.plan.taps:
            if known.label == tap:
                return stems.get(known.namespace, stems.get(self._engine_of_card(known.namespace)))
        return None

    def _engine_of_card(self, node: str) -> str:
        """Whose port, a network card, is the only way to a node; empty where there is none."""
        cards = {(card.switch, card.port) for card in self.plan.cards}
        ports = ((switch, port) for switch in self.plan.switches for port in switch.ports)
        return next((s.engine for s, p in ports if p.peer == node and (s.name, p.number) in cards), "")


def load_run(folder: Path) -> Run:
    """Reads a run directory; `RunError` where plan, calls or events cannot be read."""
    try:
        plan = plan_from_json((folder / "plan.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'plan.json'}: {error}") from error
    captures = folder / "captures"
    kernel_names: dict[str, dict[str, str]] = {}
    for tap in plan.taps:
        kernel_names.setdefault(tap.namespace, {})[tap.interface] = tap.label
    names = captures / "interfaces.json"
    if names.exists():
        for namespace, its in _json(names).items():
            kernel_names.setdefault(namespace, {}).update(its)
    keylog = folder / "keys" / "tls.keylog"
    return Run(
        plan=plan,
        calls=_records(folder / "calls.json", CallRecord),
        events=_events(folder / "events.jsonl"),
        captures=tuple(sorted(captures.glob("*.pcapng"))),
        paths=_lines(folder / PATHS_FILE, PathRecord),
        keylog=keylog if keylog.exists() and keylog.stat().st_size else None,
        authority=next(
            (p for p in (folder / "ca.pem", *sorted(folder.glob("*/ca.pem"))) if p.exists()), None
        ),
        tap_names=kernel_names,
        checks=_checks(folder / "scenario.json"),
        incidents=_records(folder / "incidents.json", Incident),
        load=_load(folder / FOLDER),
        late_lines=_late_lines(folder / LINES),
        pressure=_lines(folder / PRESSURE_FILE, HostSample),
        capture_times=_lines(folder / TIMES_FILE, CaptureTime),
        alive=still_runs(folder / "events.jsonl"),
    )


def _load(folder: Path) -> Load:
    try:
        return load_load(folder)
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


def _json(path: Path) -> dict[str, dict[str, str]]:
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error
    return {str(k): {str(a): str(b) for a, b in v.items()} for k, v in data.items()}


def _records(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    """A list of records; none where there is no such file."""
    if not path.exists():
        return ()
    try:
        return tuple(from_data(kind, item) for item in json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise RunError(f"{path}: {error}") from error


def _late_lines(folder: Path) -> tuple[LateLine, ...]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            for line in json.loads(path.read_text())["lines"].values():
                late = line.get("late_ms", {}).items()
                found += [LateLine(path.stem, int(second), float(ms)) for second, ms in late]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunError(f"{path}: not the account of a delay line: {error!r}") from error
    return tuple(found)


def _lines(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    try:
        return tuple(json_lines(path, kind))
    except ValueError as error:
        raise RunError(str(error)) from error


def _checks(path: Path) -> Checks:
    """What the scenario says that it is judged by; runs without a scenario of their own are judged wholly."""
    if not path.exists():
        return "reference"
    try:
        return from_data(ScenarioRecord, json.loads(path.read_text())).checks
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error


def _events(path: Path) -> tuple[Event, ...]:
    if not path.exists():
        return ()
    events = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.strip():
            try:
                events.append(from_data(Event, json.loads(line)))
            except (ValueError, TypeError) as error:
                raise RunError(f"{path}, line {number}: {error}") from error
    return tuple(events)
