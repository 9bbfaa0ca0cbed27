"""A run directory as the judge reads it (layout: `uclab.records.run`). Missing files are missing evidence,
not errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uclab.judge.evidence.life import still_runs
from uclab.judge.evidence.load_files import Load, load_load
from uclab.judge.evidence.run_files import RunError, RunFiles, shortened
from uclab.plan.schema.plan import Plan
from uclab.records.captures import FILE as TIMES_FILE
from uclab.records.captures import CaptureTime
from uclab.records.host_pressure import FILE as PRESSURE_FILE
from uclab.records.host_pressure import LINES, HostSample, LateLine
from uclab.records.overlay import FILE as PATHS_FILE
from uclab.records.overlay import PathRecord
from uclab.records.run import CallRecord, Checks, Event, Incident, MessageRecord
from uclab.records.scenario import (
    LAB_END,
    ORDERS,
    SCENARIO,
    SCENARIO_END,
    LabEnd,
    OrderRecord,
    ScenarioEnd,
    ScenarioRecord,
)

__all__ = ["Run", "RunError", "load_run"]


@dataclass(frozen=True)
class Run:
    """What a run left behind: the clean plan (what should be), calls and events, and where the captures
    are."""

    plan: Plan
    folder: Path = Path()
    calls: tuple[CallRecord, ...] = ()
    messages: tuple[MessageRecord, ...] = ()
    events: tuple[Event, ...] = ()
    captures: tuple[Path, ...] = ()
    paths: tuple[PathRecord, ...] = ()
    """What the SD-WAN's controller measured."""
    keylog: Path | None = None
    authority: bytes | None = None
    """The lab CA's certificate (PEM)."""
    tap_names: dict[str, dict[str, str]] = field(default_factory=dict)
    """Namespace -> kernel interface -> tap label, where the captures could not carry the labels
    themselves."""
    checks: Checks = "reference"
    """What it is to be judged by."""
    scenario: ScenarioRecord | None = None
    """What was to happen."""
    end: ScenarioEnd | None = None
    orders: tuple[OrderRecord, ...] = ()
    lab_end: LabEnd | None = None
    cut: dict[str, str] = field(default_factory=dict)
    """File of records -> what shows that its end is missing."""
    shorter: dict[str, int | None] = field(default_factory=dict)
    """File of records that is shorter than the lab left it -> its bytes; None where it is missing."""
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
    """Reads a run directory; `RunError` where a file of it cannot be read."""
    files = RunFiles(folder)
    plan = files.record("plan.json", Plan)
    if plan is None:
        files.refuse("plan.json", "there is no such file")
    kernel_names: dict[str, dict[str, str]] = {}
    for tap in plan.taps:
        kernel_names.setdefault(tap.namespace, {})[tap.interface] = tap.label
    for namespace, interfaces in _interfaces(files).items():
        kernel_names.setdefault(namespace, {}).update(interfaces)
    scenario = files.record(SCENARIO, ScenarioRecord)
    lab_end = files.record(LAB_END, LabEnd)
    authorities = (
        files.content(f"{place}ca.pem") for place in ("", *(f"{folder}/" for folder in files.folders()))
    )
    return Run(
        plan=plan,
        folder=folder,
        calls=files.records("calls.json", CallRecord) or (),
        messages=files.records("messages.json", MessageRecord) or (),
        events=tuple(files.lines("events.jsonl", Event)),
        captures=files.named("captures", ".pcapng"),
        paths=tuple(files.lines(PATHS_FILE, PathRecord)),
        keylog=files.path("keys/tls.keylog"),
        authority=next((pem for pem in authorities if pem), None),
        tap_names=kernel_names,
        checks="reference" if scenario is None else scenario.checks,
        scenario=scenario,
        end=files.record(SCENARIO_END, ScenarioEnd),
        orders=tuple(files.lines(ORDERS, OrderRecord)),
        lab_end=lab_end,
        incidents=files.records("incidents.json", Incident) or (),
        load=load_load(files),
        late_lines=_late_lines(files),
        pressure=tuple(files.lines(PRESSURE_FILE, HostSample)),
        capture_times=tuple(files.lines(TIMES_FILE, CaptureTime)),
        alive=still_runs(folder / "events.jsonl"),
        cut=files.cut,
        shorter=_shorter(files, lab_end),
    )


def _interfaces(files: RunFiles) -> dict[str, dict[str, str]]:
    """Namespace -> kernel interface -> tap label, where the lab left such a table."""
    name = "captures/interfaces.json"
    data = files.data(name)
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(interfaces, dict) for interfaces in data.values()):
        files.refuse(name, f"expected interfaces and their taps by namespace, found {shortened(data)}")
    return {space: {name: str(tap) for name, tap in interfaces.items()} for space, interfaces in data.items()}


def _late_lines(files: RunFiles) -> tuple[LateLine, ...]:
    """From each delay line's own account."""
    found: list[LateLine] = []
    for path in files.named(LINES, ".json"):
        name = f"{LINES}/{path.name}"
        data = files.data(name)
        try:
            for line in (data or {})["lines"].values():
                late = line.get("late_ms", {}).items()
                found += [LateLine(path.stem, int(second), float(ms)) for second, ms in late]
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            files.refuse(name, f"not the account of a delay line: {shortened(data)}")
    return tuple(found)


def _shorter(files: RunFiles, end: LabEnd | None) -> dict[str, int | None]:
    """Files that are not as long any more as they were in the end."""
    sizes = {file.name: (file.bytes, files.size(file.name)) for file in (end.files if end else ())}
    return {name: now for name, (then, now) in sizes.items() if now is None or now < then}
