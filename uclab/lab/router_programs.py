"""The programs of a lab's routers: FRR, and the watch over lines to providers. They are started with the lab,
ended when a router is killed, and started again when it is restored (V2)."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.routing.frr import start_routing
from uclab.emulation.routing.learned import wait_learned
from uclab.lab.restarts import NotAgain
from uclab.lab.watch import ProcessWatch
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import LineWatch, Plan
from uclab.runtime.installation import IMPORTING, module_command

CAPABILITIES = ("CAP_NET_ADMIN",)
"""For routes."""
INSIDE = "/run/line-watch"


class Program(Protocol):
    """A running program of a router."""

    @property
    def name(self) -> str: ...
    @property
    def process(self) -> asyncio.subprocess.Process: ...
    @property
    def log(self) -> Path: ...


@dataclass(frozen=True)
class WatchProgram:
    """A running line watch."""

    name: str
    process: asyncio.subprocess.Process
    log: Path


class RouterPrograms:
    """Starts, ends and starts again."""

    def __init__(self, plan: Plan, network: LabNet, run_dir: Path, watch: ProcessWatch) -> None:
        self._hosts: dict[str, LabHost] = {host.name: host for host in network.hosts}
        self._watches = {line_watch.router: line_watch for line_watch in plan.line_watches}
        self._routing, self._lines = run_dir / "routing", run_dir / "line-watch"
        self._process_watch = watch
        self._running: dict[str, list[Program]] = {}
        self._killed: set[str] = set()
        """Routers whose programs were ended on purpose."""
        self._one_at_a_time: dict[str, asyncio.Lock] = {}

    @property
    def speaking(self) -> tuple[str, ...]:
        """The devices with BGP or OSPF."""
        return tuple(
            name for name, host in self._hosts.items() if host.plan and (host.plan.routing or host.plan.ospf)
        )

    @property
    def events_files(self) -> tuple[Path, ...]:
        """Where line watches tell what they find; the files are there at once."""
        files = tuple(self._events_of(router) for router in self._watches)
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return files

    async def start_all(self) -> None:
        """Every router's programs, until each router has learned the routes that it should have. Raises
        `NotReady`."""
        both = dict.fromkeys((*self.speaking, *self._watches))
        await asyncio.gather(*(self.start(router) for router in both))
        for router in self.speaking:
            host = self._hosts[router]
            assert host.plan is not None
            await wait_learned(host.live_namespace(), host.plan.learned)

    async def start(self, router: str) -> None:
        """One router's programs. Raises `NotReady`."""
        async with self._lock_of(router):
            self._killed.discard(router)
            await self._start(router)

    async def restart(self, router: str) -> None:
        """End what still runs of a router's programs and restart all, until it has learned its routes.
        Raises `NotReady`, and `NotAgain` where they were killed on purpose."""
        async with self._lock_of(router):
            if router in self._killed:
                raise NotAgain(router)
            await self._end(router)
            await self._start(router)
        host = self._hosts[router]
        if router in self.speaking and host.plan is not None:
            await wait_learned(host.live_namespace(), host.plan.learned)

    def programs_of(self, router: str) -> tuple[str, ...]:
        """Names of the programs that a router has now."""
        return tuple(program.name for program in self._running.get(router, ()))

    @property
    def routers(self) -> tuple[str, ...]:
        """The devices that have any."""
        return tuple(self._running)

    def _lock_of(self, router: str) -> asyncio.Lock:
        return self._one_at_a_time.setdefault(router, asyncio.Lock())

    async def _start(self, router: str) -> None:
        host = self._hosts[router]
        running = self._running[router] = []
        if (plan := host.plan) is not None and (plan.routing or plan.ospf):
            running += await start_routing(host, plan.routing, plan.ospf, self._routing / router)
        if router in self._watches:
            running.append(await self._start_watch(host, self._watches[router]))
        for program in running:
            self._process_watch.watch(program.name, program.process, program.log)

    async def kill(self, router: str) -> tuple[str, ...]:
        """End one router's programs at once (SIGKILL to each one's process); their names."""
        async with self._lock_of(router):
            self._killed.add(router)
            return await self._end(router)

    async def _end(self, router: str) -> tuple[str, ...]:
        ended = self._running.pop(router, [])
        for program in ended:
            self._process_watch.expect_end(program.name)
            with suppress(ProcessLookupError):  # one may have died by itself
                program.process.kill()
        for program in ended:
            await program.process.wait()
        return tuple(program.name for program in ended)

    def _events_of(self, router: str) -> Path:
        return self._lines / router / "events.jsonl"

    async def _start_watch(self, host: LabHost, watch: LineWatch) -> WatchProgram:
        name, folder = f"{host.name}-line-watch", self._lines / host.name
        described, log = self._lines / f"{host.name}.json", folder / "log"
        described.write_text(json.dumps(to_data(watch), indent=1) + "\n")
        process = await host.spawn(
            [
                *module_command("controllers.line_watch", "--watch", "/lab/watch.json"),
                *("--events", f"{INSIDE}/events.jsonl"),
            ],
            name=name,
            log=log,
            root="host",
            readable={"/lab/watch.json": described},
            writable={INSIDE: folder},
            env=IMPORTING,
            capabilities=CAPABILITIES,
        )
        return WatchProgram(name, process, log)


@dataclass(frozen=True)
class EventsOf:
    """A file of events, as `controllers.follow` wants it."""

    events_file: Path
