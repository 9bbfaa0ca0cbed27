"""Brings a lab up: independent parts side by side, each ready before the next leans on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cloud_core.authority import Certificates, issue
from cloud_core.containers import SERVICE_ID, Podman
from cloud_core.services import RunningCloud, start_cloud
from endpoints_emu.phone import PhoneError
from uclab.emulation.build.apply import BuildFailed, build
from uclab.emulation.linux import netns
from uclab.emulation.linux.taps import start_taps
from uclab.emulation.ovs import vswitchd
from uclab.emulation.ovs.backends import detect
from uclab.lab import controllers, overlay
from uclab.lab.attacks import start_attacks
from uclab.lab.background_traffic import start_chatter
from uclab.lab.bulk import BulkSource
from uclab.lab.circuit_exchanges import Exchanges
from uclab.lab.host_record import write_host_record
from uclab.lab.host_watch import HostWatch
from uclab.lab.injections import start_injections
from uclab.lab.lab_runtime import LabRuntime
from uclab.lab.phones import Phones
from uclab.lab.restarts import Restarts
from uclab.lab.router_programs import EventsOf, RouterPrograms
from uclab.plan.schema.plan import Plan
from uclab.records.run import Event
from uclab.runtime.node import NotReady

PRIVATE = Path("/run/uclab-lab")
"""A tmpfs of the lab's own mount namespace, for podman's state."""
FORESEEN = (NotReady, BuildFailed, PhoneError, OSError)
"""What may go wrong while a lab comes up, with a message for the user; anything else is a defect."""
T = TypeVar("T")


class BringUpFailed(Exception):
    """A part of the lab did not come up; the message says which and what it last said."""


async def bring_up(
    plan: Plan,
    run_dir: Path,
    parts: LabRuntime,
    restarts: Restarts,
    *,
    capture: bool,
) -> None:
    """Bring everything of `plan` up; what has come up is in `parts`. Raises `BringUpFailed` that names what
    did not."""
    try:
        await _BringUp(plan, run_dir, parts, restarts).run(capture=capture)
    except FORESEEN as failure:
        raise BringUpFailed(str(failure)) from failure
    except ExceptionGroup as group:
        failures = leaves(group)
        if not all(isinstance(failure, FORESEEN) for failure in failures):
            raise
        raise BringUpFailed("\n".join(str(failure) for failure in failures)) from group


def leaves(group: ExceptionGroup[Exception]) -> list[Exception]:
    """The single errors of a group."""
    found: list[Exception] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found


class _BringUp:
    """The steps, in the order in which they lean on each other."""

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        parts: LabRuntime,
        restarts: Restarts,
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._parts = parts
        self._events = restarts.events
        self._watch = restarts.watch
        self._restarts = restarts
        self._phones = Phones(plan, run_dir, parts, restarts)
        self._kinds: dict[str, set[str]] = {}

    async def run(self, *, capture: bool) -> None:
        """Network and controllers first, then captures, then cloud and fabric side by side, then the
        phones."""
        self._parts.host = HostWatch(self._run_dir, self._parts.spaces)
        self._parts.host.start()
        netns.prepare_directory(PRIVATE)
        netns.prepare_directory(vswitchd.RUN_DIR)
        certifying = asyncio.create_task(
            asyncio.to_thread(issue, self._plan.certificates, self._run_dir / "pki", group=SERVICE_ID)
        )
        async with asyncio.TaskGroup() as first:
            listening = first.create_task(self._timed("controllers", self._start_controllers()))
            first.create_task(self._timed("network", self._build_network(listening)))
        if capture:
            await self._timed("captures", self._start_taps())
        self._start_intruders()
        certificates = await certifying
        async with asyncio.TaskGroup() as second:
            second.create_task(self._timed("routing", self._start_routing()))
            if self._plan.overlays:
                second.create_task(self._timed("overlays", self._start_overlays(certificates)))
            second.create_task(self._timed("fabric", self._wait_for_fabric()))
            second.create_task(self._timed("cloud", self._start_cloud(certificates)))
        if self._plan.attacks:
            await self._timed("attacks", self._start_attacks())
        assert self._parts.cloud is not None
        await self._timed("phones", self._phones.start_all(self._parts.cloud, certificates))
        self._parts.bulk = BulkSource(self._plan.bulk, self._parts.runtimes, self._run_dir / "bulk")

    async def _timed(self, name: str, step: Awaitable[T]) -> T:
        began = time.monotonic()
        result = await step
        self._parts.timings[name] = round(time.monotonic() - began, 3)
        return result

    async def _start_controllers(self) -> None:
        folder, fabrics = self._run_dir / "controllers", [e.fabric for e in self._plan.circuit_exchanges]
        started = await controllers.start_controllers(
            self._plan.fabrics, folder, vswitchd.RUN_DIR, exchanges=fabrics
        )
        self._parts.controllers = started
        for controller in started:
            self._watch.watch(controller.name, controller.process, controller.log)
            kinds = self._kinds[controller.name] = set()
            self._keep(controllers.follow(controller, self._sink(kinds)))
            again = partial(self._start_controller_again, controller)
            self._restarts.offer("controller", controller.name, again)
        await asyncio.gather(
            *(
                controllers.wait_listening(running_controller, vswitchd.RUN_DIR)
                for running_controller in started
            )
        )

    async def _start_controller_again(self, controller: controllers.RunningController) -> None:
        """Switches forward without it meanwhile, and come back to it by themselves."""
        kinds = self._kinds[controller.name]
        kinds.clear()
        await controller.start_again()
        self._watch.watch(controller.name, controller.process, controller.log)
        await controllers.wait_ready(controller, kinds)
        exchanges = {exchange.fabric.site: exchange.name for exchange in self._plan.circuit_exchanges}
        if self._parts.exchanges is not None and controller.fabric.site in exchanges:
            await self._parts.exchanges.tell_again(exchanges[controller.fabric.site])

    def _sink(self, kinds: set[str]) -> controllers.EventSink:
        """Takes a controller's events into the lab's log and remembers their kinds."""

        def sink(event: Event) -> None:
            kinds.add(event.kind)
            self._events.take(event)

        return sink

    async def _build_network(self, controllers_listen: Awaitable[None]) -> None:
        variants = detect()
        self._parts.variants = variants.as_record()
        write_host_record(self._run_dir, variants)
        targets = {
            fabric.site: f"unix:{controllers.socket_of(vswitchd.RUN_DIR, fabric.site)}"
            for fabric in (
                *self._plan.fabrics,
                *(exchange.fabric for exchange in self._plan.circuit_exchanges),
            )
        }
        self._parts.network = await build(
            self._plan,
            self._run_dir,
            variants,
            controllers=targets,
            controllers_listen=controllers_listen,
            on_progress=lambda progress: self._events.progress(progress.step, progress.done, progress.total),
            outside=None if self._parts.outside is None else netns.inherited("outside", self._parts.outside),
        )
        spaces = self._parts.network.namespaces
        others = start_chatter(self._plan.chatter, spaces, self._run_dir)
        for daemon in (*self._parts.network.daemons(), *others):
            self._watch.watch(daemon.name, daemon, daemon.log)
        self._events.add("lab", "network-up", f"{len(self._plan.nodes)} nodes, {len(self._plan.links)} links")

    async def _start_taps(self) -> None:
        assert self._parts.network is not None
        self._parts.taps = await start_taps(self._plan.taps, self._parts.network.namespaces, self._run_dir)
        for daemon in self._parts.taps.daemons:
            self._watch.watch(daemon.name, daemon, daemon.log)
        self._keep(self._parts.taps.note_deaths())
        self._events.add("lab", "captures-running", f"{len(self._plan.taps)} taps")

    def _start_intruders(self) -> None:
        """Those of the plan, if any, once captures show whatever they do."""
        assert self._parts.network is not None
        spaces = self._parts.network.namespaces
        for daemon in start_injections(self._plan.injections, spaces, self._run_dir):
            self._watch.watch(daemon.name, daemon, daemon.log)

    async def _start_routing(self) -> None:
        """Every router's programs, until each has learned the routes that it should have."""
        assert self._parts.network is not None
        programs = RouterPrograms(self._plan, self._parts.network, self._run_dir, self._watch)
        self._parts.routers = programs
        for file in programs.events_files:
            self._keep(controllers.follow(EventsOf(file), self._sink(set())))
        await programs.start_all()
        for router in programs.routers:
            again = partial(programs.restart, router)
            self._restarts.offer("router", router, again, programs.programs_of(router))
        if programs.speaking:
            self._events.add("lab", "routes-learned", ", ".join(programs.speaking))

    async def _start_overlays(self, certificates: Certificates) -> None:
        """The SD-WAN's controller, tunnels and agents, until every path is measured."""
        assert self._parts.network is not None
        folder = self._run_dir / "sdwan"
        running = await overlay.start_controller(self._plan.overlays, folder, PRIVATE / "sdwan", self._watch)
        self._parts.overlays = running
        kinds: set[str] = set()
        self._keep(controllers.follow(running, self._sink(kinds)))
        await overlay.start_overlays(running, self._plan.overlays, self._parts.network, certificates, folder)
        await overlay.wait_measured(running, kinds)

    async def _wait_for_fabric(self) -> None:
        await asyncio.gather(
            *(
                controllers.wait_ready(controller, self._kinds[controller.name])
                for controller in self._parts.controllers
            )
        )
        self._parts.exchanges = Exchanges(self._plan.circuit_exchanges, vswitchd.RUN_DIR)
        await self._parts.exchanges.provision()

    async def _start_cloud(self, certificates: Certificates) -> None:
        podman = Podman(PRIVATE / "podman")
        cloud = await start_cloud(self._plan, self._parts.runtimes, self._run_dir, podman, certificates)
        self._parts.cloud = cloud
        for name, process, log in cloud.processes:
            self._watch.watch(name, process, log)
            self._restarts.offer("service", name, partial(self._start_service_again, cloud, name))
        self._events.add("lab", "cloud-ready", ", ".join(name for name, _, _ in cloud.processes))

    async def _start_service_again(self, cloud: RunningCloud, name: str) -> None:
        running = await cloud.start_again(name)
        self._watch.watch(name, running.container.process, running.container.log)

    async def _start_attacks(self) -> None:
        assert self._parts.network is not None
        await start_attacks(self._plan.attacks, self._parts.network, self._run_dir / "attacks")
        kinds = ", ".join(attack.kind for attack in self._plan.attacks)
        self._events.add("lab", "under-attack", kinds)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it for as long as the lab lives."""
        self._parts.tasks.append(asyncio.get_running_loop().create_task(work))
