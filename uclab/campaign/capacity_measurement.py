"""`measure`: calls are placed one after another over a line in a lab until voice violates the policy's
limits."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from uclab import api
from uclab.access.private_files import write_private
from uclab.api import Clock, RunResult, UnknownName, Watcher
from uclab.campaign.files import write_campaign, write_judged
from uclab.campaign.orders import generator_environment
from uclab.campaign.programs import END_S, Program, Programs, finish, follow
from uclab.campaign.queue_log import QueueLog
from uclab.campaign.running import write_pools
from uclab.judge.evidence.json_lines import json_lines
from uclab.lab.launch import LabFailed, LaunchedLab
from uclab.model.load import load_topology
from uclab.plan.capacity.capacity_experiment import Measuring, measurable, measuring
from uclab.plan.capacity.experiment_record import MEASURING, Admission, Reading, Spoken
from uclab.plan.faults.load_faults import LOAD_FAULTS
from uclab.plan.load.load_placement import as_judged
from uclab.plan.load.record import FOLDER, CampaignRecord
from uclab.plan.planner import make_plan
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.errors import PlanError
from uclab.records.scenario import Asked, AskedLoad, ScenarioRecord
from uclab.runtime.installation import module_command
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import block_until, patient
from uclab.scenarios.recorded import recorded

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
    lines = {
        f"{line_capacity.site}/{line_capacity.line}": line_capacity
        for line_capacity in measurable(loaded, plan)
    }
    if not lines:
        raise PlanError(f"topology {plan.topology} has no preferred line of a site with an access switch")
    if line is not None and line not in lines:
        raise UnknownName.among("line to measure", line, lines)
    return [measuring(plan, capacity, spoken) for name, capacity in lines.items() if line in (None, name)]


def measure(
    order: Measuring, *, out: Path | None = None, faults: tuple[str, ...] = (), watcher: Watcher | None = None
) -> RunResult:
    """Up, calls until voice violates the policy's limits, down, judge, report. Raises as `api.run`."""
    watcher = watcher or Watcher()
    load_plan, record = order.load_plan, order.record
    plan = load_plan.plan
    faulted = api.applied(plan, faults, LOAD_FAULTS)
    run_dir = (out or api.default_run_dir(f"{plan.topology}-capacity")).absolute()
    folder = run_dir / FOLDER
    clock = Clock()
    watcher.on_stage(f"bringing up {plan.topology} to measure line {record.line} of {record.site}")
    with api.leased_lab(plan, faulted, run_dir, watcher) as launched:
        clock.lap("up")
        launched.follow(watcher.on_event)
        folder.mkdir(mode=0o700)
        write_pools(load_plan, run_dir, folder, codec=record.codec)
        write_private(folder, MEASURING, json.dumps(to_data(record), indent=1) + "\n")
        judged = as_judged(load_plan)
        write_judged(run_dir, judged)
        asked = AskedLoad(2 * record.most, (record.near, record.far), record.step_s, record.most)
        scenario = ScenarioRecord("capacity", "capacity", time.time(), Asked(load=asked))
        with recorded(run_dir, scenario) as course:
            if words := _Experiment(launched, order, folder, watcher).run():
                course.interrupted(words)
        clock.lap("calls")
        watcher.on_stage("taking down")
        launched.client.down()
    clock.lap("down")
    return api.judge_and_report(run_dir, judged, clock, watcher)


@dataclass
class _Experiment:
    launched: LaunchedLab
    order: Measuring
    folder: Path
    watcher: Watcher
    placed: int = 0
    """Calls that stand, as far as was told."""
    missed: bool = False
    """Voice has been missed for so long that no more calls are needed."""

    def run(self) -> str:
        """Both programs, one after the other; the first one ends the other. Returns why that was too early;
        empty where it was not."""
        record, client = self.order.record, self.launched.client
        longest_s = REGISTER_S + record.most * (record.step_s + 1)
        queues = QueueLog.of(client, self.order.load_plan.plan, self.folder / "queues.jsonl", longest_s)
        with Programs(self.folder) as programs, closing(queues):
            answerers = self._start(programs, record.far, "answer")
            self.watcher.on_stage(f"{record.most} users register in the data centre")
            self._wait_for_readings(answerers)
            if record.overloaded:
                client.bulk("start")
            callers = self._start(programs, record.near, "call")
            self._follow(callers, queues)
            if record.overloaded:
                client.bulk("stop")
            self._wait_for_the_end(answerers)
            programs.end()
            ended = (callers.record, answerers.record)
            write_campaign(self.folder, CampaignRecord("capacity", 2 * record.most, True, ended))
        if self.missed or self.placed >= record.most:
            return ""
        return f"{self.placed} of {record.most} calls were placed, and voice never violated the limits"

    def _start(self, programs: Programs, node: str, what: str) -> Program:
        command = module_command("campaigns.admission", what, str(self.folder / MEASURING))
        return programs.start(
            node,
            self.launched.client.command_at(node, command),
            generator_environment(self.folder, node),
        )

    def _wait_for_readings(self, answerers: Program) -> None:
        """Until all users there have registered: then it begins to tell."""

        def told() -> bool | None:
            if answerers.process.poll() is not None:
                raise LabFailed(f"{answerers.name} did not get ready: {answerers.words}")
            return any(self._readings(answerers.name)) or None

        try:
            block_until(told, what=answerers.name, deadline_s=REGISTER_S, every_s=LOOK_S)
        except NotReady:
            raise LabFailed(f"{answerers.name} did not get ready: {answerers.words}") from None

    def _wait_for_the_end(self, answerers: Program) -> None:
        """Until the other side has noted its calls, too; of some the end may have got lost with a full
        line."""

        def idle() -> bool | None:
            readings = self._readings(answerers.name)
            return not readings or not readings[-1].calls or answerers.process.poll() is not None or None

        with suppress(NotReady):
            block_until(idle, what=answerers.name, deadline_s=GONE_S, every_s=LOOK_S)

    def _follow(self, callers: Program, queues: QueueLog) -> None:
        """Until all calls are placed, or voice has been missed for a while, or somebody has had enough: what
        there is, is judged."""
        record = self.order.record
        longest_s = patient(REGISTER_S) + record.most * (record.step_s + 1)

        def look() -> None:
            queues.look()
            if not self.missed:
                self._look()
                if self.missed:
                    callers.process.terminate()

        if not follow(callers, longest_s, look):
            callers.process.terminate()
            finish([callers], GONE_S + END_S, queues.look)
        if not self.missed and self.placed < record.most:
            self.watcher.on_stage("ended early")
        if callers.status not in (None, 0, -signal.SIGTERM, -signal.SIGINT):
            raise LabFailed(f"{callers.name} ended early: {callers.words}")

    def _look(self) -> None:
        """Tell how far it is, and see whether that is enough."""
        record = self.order.record
        up, down = (losses(self._readings(node)) for node in (record.far, record.near))
        path = self.folder / f"{record.near}.admissions.jsonl"
        placed = sum(1 for line in json_lines(path, Admission) if line.status == 200)
        if placed != self.placed:
            self.placed = placed
            options = ", ".join(
                f"{recent[-1]:.1f} % {way}" for way, recent in (("up", up), ("down", down)) if recent
            )
            self.watcher.on_stage(f"{placed} of {record.most} calls at most; loss {options or '-'}")
        seconds = int(LOST_STEPS * record.step_s) + 2
        limit = self.order.load_plan.plan.policy.max_loss_pct
        self.missed = any(
            len(recent) >= seconds and all(loss >= limit for loss in recent[-seconds:])
            for recent in (up, down)
        )

    def _readings(self, node: str) -> list[Reading]:
        return list(json_lines(self.folder / f"{node}.readings.jsonl", Reading))


def losses(readings: Sequence[Reading]) -> list[float]:
    """Loss of what one side receives from one reading to the next, per cent (pure)."""
    found = []
    for before, now in itertools.pairwise(readings):
        lost, received = now.lost - before.lost, now.received - before.received
        found.append(100 * max(lost, 0) / max(lost + received, 1))
    return found
