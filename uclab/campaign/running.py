"""`run_campaign`: a lab with users comes up, locust runs in it, all goes down and is judged."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from uclab import api
from uclab.access.private_files import write_private
from uclab.api import Clock, RunResult, UnknownName, Watcher
from uclab.campaign import remote_machines
from uclab.campaign.files import write_campaign, write_judged
from uclab.campaign.orders import (
    CAMPAIGNS,
    LEADER_PORT,
    LINE_FAILS,
    PATHS,
    PROFILES,
    READY_S,
    SILENT,
    STOP_S,
    WEB_PORT,
    CampaignOrder,
    generator_environment,
    leader_command,
    locustfile,
    worker_command,
)
from uclab.campaign.outage import Outage, first_lines
from uclab.campaign.own_page import command_line
from uclab.campaign.programs import END_S, Program, Programs, finish, follow
from uclab.campaign.queue_log import QueueLog
from uclab.campaign.relay import relay, towards
from uclab.campaign.usage import UsageLog, namespace_id
from uclab.lab.launch import LabFailed, LaunchedLab
from uclab.plan.faults.load_faults import LOAD_FAULTS
from uclab.plan.load.load_placement import LoadPlan, as_judged, pools, with_load
from uclab.plan.load.pstn_load import outside_pool, played, with_outside
from uclab.plan.load.record import FOLDER, G711, CampaignRecord, PoolCodec
from uclab.plan.load.remote_generators import RemoteGenerator, moved, with_remote_generators
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.errors import PlanError
from uclab.records.scenario import Asked, AskedLoad, ScenarioRecord
from uclab.scenarios.recorded import recorded


@dataclass(frozen=True)
class CampaignResult:
    """What a campaign leaves: the judged run, and locust's own exit status (None: it did not end in time)."""

    run: RunResult
    locust_status: int | None


def order_of(
    profile: str,
    *,
    users: int,
    spawn_rate: float,
    duration_s: int,
    workers: int,
    web: bool,
    remote: Sequence[str] = (),
    listen: str | None = None,
    ready_s: int | None = None,
) -> CampaignOrder:
    """The order for a campaign by name or by the path of a locustfile. Raises `UnknownName`, `OrderRefused`.

    `remote`: load generators on other machines, each `GENERATOR=INTERFACE`.
    """
    file = locustfile(profile)
    if file is None:
        if profile.endswith(".py"):
            raise UnknownName(f"no locustfile `{profile}`")
        raise UnknownName.among("campaign", profile, PROFILES)
    cards = remote_machines.cards_of(remote)
    ready_s = ready_s or (remote_machines.WAIT_S if cards else READY_S)
    return CampaignOrder(profile, file, users, spawn_rate, duration_s, workers, web, cards, listen, ready_s)


def run_campaign(
    topology: str,
    order: CampaignOrder,
    *,
    out: Path | None = None,
    faults: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> CampaignResult:
    """Up, locust, down, judge, report. Raises as `api.run`, `PlanError` without a place for users, and
    `OrderRefused`."""
    watcher = watcher or Watcher()
    plan = api.plan_of(topology)
    if order.users < order.workers:
        raise PlanError(
            f"{order.users} users on {order.workers} load generators: each needs one user at least"
        )
    # locust may give any worker one user more than its even share
    load_plan = with_load(plan, -(-order.users // order.workers) * order.workers, order.workers)
    if order.profile not in SILENT:
        load_plan = with_outside(load_plan, order.users)
        order = replace(order, workers=len(load_plan.all_generators))
    load_plan, gone = moved(load_plan, order.remote)
    faulted = played(load_plan, api.applied(load_plan.plan, faults, LOAD_FAULTS))
    remote_machines.check(order)
    if order.web and shutil.which("socat") is None:
        raise LabFailed("socat is not installed: it brings locust's page to this machine; run `uclab setup`")
    run_dir = (out or api.default_run_dir(f"{plan.topology}-campaign")).absolute()
    folder = run_dir / FOLDER
    clock = Clock()
    watcher.on_stage(
        f"bringing up {plan.topology} with {order.users} users on {order.workers} load generators"
    )
    with api.leased_lab(load_plan.plan, faulted, run_dir, watcher) as launched:
        clock.lap("up")
        launched.follow(watcher.on_event)
        folder.mkdir(mode=0o700)
        write_pools(load_plan, run_dir, folder, but=order.remote)
        remote_machines.write_folders(load_plan, gone, order, run_dir / "pki" / "ca.pem", folder)
        judged = with_remote_generators(as_judged(load_plan), gone)
        write_judged(run_dir, judged)
        with recorded(run_dir, _scenario(load_plan, order)) as course:
            began = time.monotonic()
            status = _drive(
                launched, load_plan, order, folder, watcher, gone, lambda: course.interrupted("by the user")
            )
            lasted_s = time.monotonic() - began
            if status is None:
                course.interrupted(f"locust did not end in {order.longest_s:.0f} s")
            elif lasted_s < order.duration_s:
                course.interrupted(f"locust ended after {lasted_s:.0f} of {order.duration_s} s")
        clock.lap("campaign")
        watcher.on_stage("taking down")
        launched.client.down()
    clock.lap("down")
    return CampaignResult(api.judge_and_report(run_dir, judged, clock, watcher), status)


def _scenario(load_plan: LoadPlan, order: CampaignOrder) -> ScenarioRecord:
    """What a campaign is to be."""
    names = tuple(generator.node for generator in load_plan.all_generators)
    asked = Asked(load=AskedLoad(order.users, names, float(order.duration_s)))
    return ScenarioRecord("campaign", "load", time.time(), asked)


def write_pools(
    load_plan: LoadPlan, run_dir: Path, folder: Path, codec: PoolCodec = G711, but: Collection[str] = ()
) -> None:
    """A file for each generator with its users and their passwords, for root alone; `but` for these."""
    pki = run_dir / "pki"
    outside = outside_pool(load_plan, str(folder), str(pki))
    for pool in (
        *pools(load_plan, str(folder), str(pki / "ca.pem"), codec),
        *((outside,) if outside else ()),
    ):
        if pool.generator not in but:
            write_private(folder, f"{pool.generator}.json", json.dumps(to_data(pool)) + "\n")


def _drive(
    launched: LaunchedLab,
    load_plan: LoadPlan,
    order: CampaignOrder,
    folder: Path,
    watcher: Watcher,
    gone: Sequence[RemoteGenerator],
    on_interrupt: Callable[[], None],
) -> int | None:
    client = launched.client
    watcher.on_stage(
        f"{order.locustfile.stem.replace('_', '-')}: {order.users} users for {order.duration_s} s"
    )
    queues = QueueLog.of(client, load_plan.plan, folder / "queues.jsonl", order.longest_s)
    with Programs(folder) as programs, closing(queues):
        leader = programs.start(
            "leader",
            client.command_at(load_plan.leader, leader_command(order, folder)),
            {**PATHS, **remote_machines.leader_environment(gone, folder)},
        )
        workers = [
            programs.start(
                generator.node,
                client.command_at(generator.node, worker_command(order, generator)),
                generator_environment(folder, generator.node),
            )
            for generator in load_plan.all_generators
            if generator.node not in order.remote
        ]
        if gone:
            to_leader = client.command_at(load_plan.leader, towards("127.0.0.1", LEADER_PORT))
            programs.start("relay", relay(order.listen or "127.0.0.1", LEADER_PORT, to_leader), {})
        for remote_generator in gone:
            watcher.on_notice(
                remote_machines.invitation(remote_generator, folder / remote_generator.name, order)
            )
        if order.web:
            way = client.command_at(load_plan.leader, towards("127.0.0.1", WEB_PORT))
            programs.start("web", command_line(WEB_PORT, way), {"PYTHONPATH": str(CAMPAIGNS.parent)})
            watcher.on_stage(f"locust's page: http://127.0.0.1:{WEB_PORT}")
        supervisor = client.supervisor_pid()
        functions = {
            namespace_id(supervisor, client.namespace_of(node)): node
            for node in sorted({controller.node for controller in load_plan.plan.session_controllers})
        }
        usage = UsageLog(
            folder / "usage.jsonl",
            supervisor,
            functions,
            [program.process.pid for program in (leader, *workers)],
        )
        outage: Outage | None = None

        def look() -> None:
            nonlocal outage
            usage.look()
            queues.look()
            if outage is None and order.profile == LINE_FAILS and remote_machines.begun(gone, folder):
                outage = Outage(client, first_lines(load_plan.plan), order)
            if outage is not None and (words := outage.look()):
                watcher.on_stage(words)

        in_time = follow(leader, order.longest_s, look, on_interrupt)
        if in_time:
            finish(workers, STOP_S + END_S, look)
        programs.end()
        status = leader.status if in_time else None
        _record(folder, order, load_plan, workers)
        if not in_time:
            watcher.on_stage(f"locust did not end in {order.longest_s:.0f} s; what it had done is kept")
    return status


def _record(folder: Path, order: CampaignOrder, load_plan: LoadPlan, workers: Sequence[Program]) -> None:
    here = {worker.name: worker for worker in workers}
    ended = tuple(
        here[generator.node].record
        if generator.node in here
        else remote_machines.ended(generator.node, folder)
        for generator in load_plan.all_generators
    )
    write_campaign(folder, CampaignRecord(order.profile, order.users, order.profile not in SILENT, ended))
