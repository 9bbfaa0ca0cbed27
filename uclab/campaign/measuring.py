"""`measure`: calls are placed one after another over a line in a lab until voice misses the policy."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from uclab import api
from uclab.api import Clock, RunResult, UnknownName, Watcher
from uclab.campaign.orders import CAMPAIGNS
from uclab.campaign.programs import Program, Programs
from uclab.campaign.queue_log import QueueLog
from uclab.campaign.running import write_pools
from uclab.lab.launch import LabFailed, LaunchedLab
from uclab.model.load import load_topology
from uclab.plan.admission_record import MEASURING, Admission, Reading, Spoken
from uclab.plan.codec import from_data, plan_to_json, to_data
from uclab.plan.crowd import as_judged
from uclab.plan.errors import PlanError
from uclab.plan.load_faults import LOAD_FAULTS
from uclab.plan.load_record import FOLDER, POOL_VARIABLE, CampaignRecord, GeneratorRecord
from uclab.plan.measuring import Measuring, measurable, measuring
from uclab.plan.planner import make_plan
from uclab.plan.readiness import patient
from uclab.plan.records import ScenarioRecord

LOOK_S = 0.25
REGISTER_S = 60.0
"""How long all users of one side may take to register."""
GONE_S = 15.0
"""How long calls may take to end."""
LOST_STEPS = 3
"""Calls that are placed beyond the first that voice was missed with, so that a chance is not taken for it."""


def orders_for(topology: str, line: str | None, spoken: Spoken = "both") -> list[Measuring]:
    """The experiments for a topology's lines, or for one, `SITE/LINE`. Raises `TopologyError`, `PlanError`,
    `UnknownName`."""
    loaded = load_topology(topology)
    plan = make_plan(loaded)
    lines = {f"{one.site}/{one.line}": one for one in measurable(loaded, plan)}
    if not lines:
        raise PlanError(f"topology {plan.topology} has no preferred line of a site with an access switch")
    if line is not None and line not in lines:
        raise UnknownName.among("line to measure", line, lines)
    return [measuring(plan, one, spoken) for name, one in lines.items() if line in (None, name)]


def measure(
    order: Measuring, *, out: Path | None = None, faults: tuple[str, ...] = (), watcher: Watcher | None = None
) -> RunResult:
    """Up, calls until voice misses the policy, down, judge, report. Raises as `api.run`."""
    watcher = watcher or Watcher()
    crowd, record = order.crowd, order.record
    plan = crowd.plan
    faulted = api.applied(plan, faults, LOAD_FAULTS)
    run_dir = (out or api.default_run_dir(f"{plan.topology}-capacity")).resolve()
    folder = run_dir / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    clock = Clock()
    watcher.on_stage(f"bringing up {plan.topology} to measure line {record.line} of {record.site}")
    with api.leased_lab(plan, faulted, run_dir, watcher) as launched:
        clock.lap("up")
        launched.follow(watcher.on_event)
        folder.mkdir(exist_ok=True)
        write_pools(crowd, run_dir, folder, record.codec)
        (folder / MEASURING).write_text(json.dumps(to_data(record), indent=1) + "\n")
        _Experiment(launched, order, folder, watcher).run()
        clock.lap("calls")
        watcher.on_stage("taking down")
        launched.client.down()
    clock.lap("down")
    (run_dir / "plan.json").write_text(plan_to_json(as_judged(crowd)))
    (run_dir / "scenario.json").write_text(json.dumps(to_data(ScenarioRecord("capacity", "capacity"))) + "\n")
    return api.judge_and_report(run_dir, as_judged(crowd), clock, watcher)


@dataclass
class _Experiment:
    launched: LaunchedLab
    order: Measuring
    folder: Path
    watcher: Watcher

    def run(self) -> None:
        """Both programs, one after the other; the first one ends the other."""
        record, client = self.order.record, self.launched.client
        longest_s = REGISTER_S + record.most * (record.step_s + 1)
        queues = QueueLog.of(client, self.order.crowd.plan, self.folder / "queues.jsonl", longest_s)
        with Programs(self.folder) as programs, closing(queues):
            answerers = self._start(programs, record.far, "answer")
            self.watcher.on_stage(f"{record.most} users register in the data centre")
            self._wait(answerers, lambda: any(self._readings(record.far)), REGISTER_S)
            if record.overloaded:
                client.bulk("start")
            callers = self._start(programs, record.near, "call")
            self._follow(callers, queues)
            if record.overloaded:
                client.bulk("stop")
            self._wait_for_the_end(answerers)
            programs.end()
            self._record((callers, answerers))

    def _start(self, programs: Programs, node: str, what: str) -> Program:
        command = [sys.executable, "-m", "campaigns.admission", what, str(self.folder / MEASURING)]
        program = programs.start(
            node,
            self.launched.client.command_at(node, command),
            {"PYTHONPATH": str(CAMPAIGNS.parent), POOL_VARIABLE: str(self.folder / f"{node}.json")},
        )
        programs.prefer(program)
        return program

    def _wait(self, program: Program, ready: Callable[[], bool], deadline_s: float) -> None:
        until = time.monotonic() + patient(deadline_s)
        while not ready():
            if program.process.poll() is not None or time.monotonic() > until:
                raise LabFailed(f"{program.name} did not get ready: {program.words}")
            time.sleep(LOOK_S)

    def _wait_for_the_end(self, answerers: Program) -> None:
        """Until the other side has noted its calls, too; of some the end may have got lost with a full
        line."""
        until = time.monotonic() + patient(GONE_S)
        while not self._idle(self.order.record.far) and answerers.process.poll() is None:
            if time.monotonic() > until:
                return
            time.sleep(LOOK_S)

    def _follow(self, callers: Program, queues: QueueLog) -> None:
        """Until all calls are placed, or voice has been missed for a while."""
        record, told = self.order.record, 0
        longest_s = patient(REGISTER_S) + record.most * (record.step_s + 1)
        until = time.monotonic() + longest_s
        while callers.process.poll() is None and time.monotonic() < until:
            queues.look()
            placed = sum(1 for one in self._admissions() if one.status == 200)
            if placed != told:
                told = placed
                self.watcher.on_stage(
                    f"{placed} of {record.most} calls at most; loss {self._loss_in_words()}"
                )
            try:
                if self._missed_for_long():
                    break
                time.sleep(LOOK_S)
            except KeyboardInterrupt:  # what there is, is judged
                self.watcher.on_stage("ended early")
                break
        if callers.process.poll() is None:
            callers.process.terminate()
            callers.process.wait(GONE_S + 10)
        elif callers.status:
            raise LabFailed(f"{callers.name} ended early: {callers.words}")

    def _missed_for_long(self) -> bool:
        """Whether either side has lost more than the policy allows for some steps without a break."""
        seconds = int(LOST_STEPS * self.order.record.step_s) + 2
        limit = self.order.crowd.plan.policy.max_loss_pct
        return any(
            len(losses) >= seconds and all(loss >= limit for loss in losses[-seconds:])
            for losses in map(self._losses, (self.order.record.near, self.order.record.far))
        )

    def _losses(self, node: str) -> list[float]:
        """Loss of what one side receives, per cent, second by second."""
        readings = list(self._readings(node))
        found = []
        for before, now in itertools.pairwise(readings):
            lost, received = now.lost - before.lost, now.received - before.received
            found.append(100 * max(lost, 0) / max(lost + received, 1))
        return found

    def _loss_in_words(self) -> str:
        record = self.order.record
        ways = (("up", self._losses(record.far)), ("down", self._losses(record.near)))
        return ", ".join(f"{losses[-1]:.1f} % {way}" for way, losses in ways if losses) or "-"

    def _idle(self, node: str) -> bool:
        last = [*self._readings(node)][-1:]
        return not last or not last[0].calls

    def _readings(self, node: str) -> Iterator[Reading]:
        for line in _lines(self.folder / f"{node}.readings.jsonl"):
            yield from_data(Reading, json.loads(line))

    def _admissions(self) -> Iterator[Admission]:
        for line in _lines(self.folder / f"{self.order.record.near}.admissions.jsonl"):
            yield from_data(Admission, json.loads(line))

    def _record(self, programs: tuple[Program, ...]) -> None:
        ended = tuple(
            GeneratorRecord(one.name, one.status, one.words if one.status else "") for one in programs
        )
        record = CampaignRecord("capacity", 2 * self.order.record.most, True, ended)
        (self.folder / "campaign.json").write_text(json.dumps(to_data(record), indent=1) + "\n")


def _lines(path: Path) -> list[str]:
    """The whole lines of a file that is still written to."""
    try:
        return path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []
