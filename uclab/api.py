"""uclab as a library: what the command line, the pytest plugin and campaigns are made of."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from uclab.access.names import as_name
from uclab.doctor import busyness
from uclab.doctor.preflight import refuse_unable_to_judge, refuse_unfit
from uclab.lab.client import LabGone
from uclab.lab.last_words import killed_for_memory, last_words
from uclab.lab.launch import LaunchedLab, StartOrder, launch
from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.faults.catalogue import FAULTS, fitting
from uclab.plan.schema.fault import Fault
from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.breakable import NotBreakable
from uclab.plan.traffic.incidents import NoSuchIncident, chosen_incidents
from uclab.planned import PlannedTopology as PlannedTopology
from uclab.planned import plan_of as plan_of
from uclab.planned import planned as planned
from uclab.records.run import Event
from uclab.records.scenario import ScenarioRecord
from uclab.scenarios import SCENARIOS, Options, ScenarioProgress
from uclab.scenarios.recorded import recorded

if TYPE_CHECKING:
    from uclab.judge.result.judgement import Judgement


class UnknownName(Exception):
    """A name that nothing has; the message lists what there is and the closest match."""

    @classmethod
    def among(cls, what: str, name: str, names: Iterable[str]) -> UnknownName:
        """The error for `name`, with the names there are."""
        known = sorted(names)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        return cls(f"no {what} `{name}`{hint}; there are: {', '.join(known)}")


class RunUnreadable(Exception):
    """A run directory whose records cannot be read; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Watcher:
    """Who is told how far long work is: events of the lab, steps of the scenario, stages of the run."""

    on_event: Callable[[Event], None] = field(default=lambda event: None)
    on_step: Callable[[ScenarioProgress], None] = field(default=lambda step: None)
    on_stage: Callable[[str], None] = field(default=lambda stage: None)
    on_notice: Callable[[str], None] = field(default=lambda words: None)
    """Something that somebody is to do now."""


@dataclass(frozen=True)
class RunResult:
    """What a run leaves: the judgement, where the evidence lies, and how long each stage took (seconds)."""

    judgement: Judgement
    run_dir: Path
    timings: dict[str, float]


def load(topology: str) -> LoadedTopology:
    """Load a topology by path or name. Raises `TopologyError` with all its errors."""
    return load_topology(topology)


def applied(plan: Plan, faults: Sequence[str], further: Mapping[str, Fault] | None = None) -> Plan:
    """The plan with deliberate faults in it, each `NAME` or `NAME:TARGET`, of the usual ones and `further`
    ones. Raises `UnknownName`."""
    known = {**FAULTS, **(further or {})}
    for fault in faults:
        name, _, target = fault.partition(":")
        if name not in known:
            raise UnknownName.among("fault", name, known)
        try:
            plan = known[name].apply(plan, target or None)
        except KeyError as error:
            raise UnknownName(
                f"fault `{name}` cannot be applied to `{target or plan.topology}`: {error.args[0]}"
            ) from None
    return plan


def faults_of(topology: str) -> tuple[str, ...]:
    """The faults that can be applied to a topology, in order of names. Raises `TopologyError`."""
    return fitting(plan_of(topology))


def default_run_dir(topology: str) -> Path:
    """A fresh folder under `runs/` of the working directory."""
    return Path("runs") / f"{topology}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def bring_up(
    plan: Plan,
    faulted: Plan,
    run_dir: Path,
    *,
    name: str | None = None,
    leased: bool,
    watcher: Watcher | None = None,
) -> LaunchedLab:
    """Bring a lab up; see `uclab.lab.launch.launch` for its errors. Raises `HostUnfit` before that where this
    machine lacks something that can be known."""
    if (words := busyness().warning()) is not None:
        (watcher or Watcher()).on_stage(f"warning: {words}")
    if os.geteuid() == 0:
        refuse_unfit(faulted, run_dir)
    order = StartOrder(name or f"{plan.topology}-{os.getpid()}", plan, faulted, run_dir.absolute())
    return launch(order, leased=leased, on_event=(watcher or Watcher()).on_event)


@contextmanager
def leased_lab(
    plan: Plan, faulted: Plan, run_dir: Path, watcher: Watcher | None = None, name: str | None = None
) -> Iterator[LaunchedLab]:
    """A lab for as long as the block runs; taken down in order at its end, also on Ctrl-C."""
    launched = bring_up(plan, faulted, run_dir, name=name, leased=True, watcher=watcher)
    killed_before = killed_for_memory()
    try:
        yield launched
    except LabGone as error:
        launched.release()
        raise LabGone(last_words(error, launched, run_dir, killed_before)) from error
    finally:
        launched.release()


def run(
    topology: str,
    *,
    scenario: str = "reference",
    out: Path | None = None,
    faults: Sequence[str] = (),
    watcher: Watcher | None = None,
    name: str | None = None,
    options: Options | None = None,
) -> RunResult:
    """Up, scenario, down, judge, report. Raises `TopologyError`, `UnknownName`, `LabFailed`, `LabGone`."""
    watcher, options = watcher or Watcher(), options or Options()
    read = planned(topology)
    plan = read.plan
    faulted = applied(plan, faults)
    refuse_unknown(plan, scenario, options)
    run_dir = (out or default_run_dir(plan.topology)).absolute()
    for warning in read.warnings:
        watcher.on_stage(f"warning: {warning}")
    clock = Clock()
    watcher.on_stage(f"bringing up {plan.topology}")
    with leased_lab(plan, faulted, run_dir, watcher, name) as launched:
        clock.lap("up")
        launched.follow(watcher.on_event)
        watcher.on_stage("placing calls")
        chosen = SCENARIOS[scenario]
        record = ScenarioRecord(scenario, chosen.checks, time.time(), chosen.asked(plan, options))
        with recorded(run_dir, record):
            chosen.drive(launched.client, plan, watcher.on_step, options)
        clock.lap("scenario")
        watcher.on_stage("taking down")
        launched.client.down()
    clock.lap("down")
    return judge_and_report(run_dir, plan, clock, watcher)


def refuse_unknown(plan: Plan, scenario: str, options: Options) -> None:
    """`UnknownName` for a scenario that there is not, or incidents that it or the network cannot have."""
    if scenario not in SCENARIOS:
        raise UnknownName.among("scenario", scenario, SCENARIOS)
    if (options.incidents or options.repeat > 1) and not SCENARIOS[scenario].breaks:
        able = ", ".join(name for name, known in SCENARIOS.items() if known.breaks)
        raise UnknownName(f"scenario `{scenario}` breaks nothing; incidents belong to: {able}")
    if not SCENARIOS[scenario].breaks:
        return
    try:
        chosen_incidents(plan, options.incidents)
    except NoSuchIncident as error:
        raise UnknownName.among("incident", *error.args) from None
    except NotBreakable as error:
        raise UnknownName(f"scenario `{scenario}`: {error}") from None


def judge_again(run_dir: Path) -> RunResult:
    """Judge the kept captures of a run again and write its reports again. Raises `UnknownName` where that is
    no run directory, `RunUnreadable`, `HostUnfit` without tshark."""
    from uclab.judge.evidence.run_files import RunError, RunFiles

    refuse_unable_to_judge()
    if not os.path.lexists(run_dir / "plan.json"):
        raise UnknownName(
            f"`{run_dir}` is no run directory: it has no plan.json; give the --out of an earlier `uclab run`"
        )
    try:
        plan = RunFiles(run_dir).record("plan.json", Plan)
    except RunError as error:
        raise RunUnreadable(str(error)) from None
    assert plan is not None
    return judge_and_report(run_dir, plan, Clock(), Watcher())


def judge_and_report(run_dir: Path, plan: Plan, clock: Clock, watcher: Watcher) -> RunResult:
    """Judge what lies in a run directory and write its reports there. Raises `RunUnreadable`."""
    # imported late: dissectors and plots take longer to load than most verbs to run
    from uclab.judge.evidence.run import RunError
    from uclab.judge.judging import judge_run
    from uclab.report.write import write_reports

    watcher.on_stage("judging the captures")
    try:
        judgement = judge_run(run_dir)
        clock.lap("judge")
        watcher.on_stage("writing the report")
        write_reports(run_dir, plan, judgement, clock.laps)
    except RunError as error:
        raise RunUnreadable(str(error)) from None
    clock.lap("report")
    return RunResult(judgement, run_dir, clock.laps)


class Clock:
    """Times the stages of a run."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """The stage that just ended took the time since the last lap."""
        now = time.monotonic()
        self.laps[stage] = round(now - self._last, 3)
        self._last = now


@dataclass(frozen=True)
class DrillResult:
    """One fault of a drill: caught when every finding that it must break failed and nothing unrelated did."""

    fault: str
    caught: bool
    explanation: str
    run_dir: str
    shown: bool = True
    """All that had to fail was shown to fail, or not to."""


def drill(topology: str, faults: Sequence[str], out: Path | None, watcher: Watcher) -> Iterator[DrillResult]:
    """Run the topology once for each fault and see whether the judge names it. Raises like `run`."""
    plan = plan_of(topology)
    for fault in faults:
        applied(plan, [fault])
    folder = out or default_run_dir(f"{plan.topology}-drill")
    for fault in faults:
        watcher.on_stage(f"drill: {fault}")
        broken = FAULTS[fault.partition(":")[0]]
        result = run(
            topology,
            scenario=broken.scenario,
            out=folder / as_name(fault),
            faults=[fault],
            watcher=watcher,
            options=Options(broken.incidents),
        )
        expected = set(broken.breaks)
        failed = {finding.id for finding in result.judgement.findings if finding.verdict == "fail"}
        missed, surplus = sorted(expected - failed), sorted(failed - expected - set(broken.may_break))
        blamed = sorted({f.blame for f in result.judgement.findings if f.verdict == "fail" and f.blame})
        parts = [
            f"failed {', '.join(sorted(expected & failed)) or 'nothing'}",
            f"blamed {', '.join(blamed) or 'nobody'}",
        ]
        if missed:
            parts.append(f"missed {', '.join(missed)}")
        if surplus:
            parts.append(f"also failed {', '.join(surplus)}")
        unseen = {finding.id for finding in result.judgement.findings if finding.verdict == "not-shown"}
        shown = bool(surplus) or not set(missed) or not set(missed) <= unseen
        yield DrillResult(fault, broken.is_caught_by(failed), "; ".join(parts), str(result.run_dir), shown)
