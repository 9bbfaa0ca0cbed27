"""A running lab: the plan made real, and what may be asked of it."""

from __future__ import annotations

import asyncio
import json
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from uclab.emulation.build.line_control import LineControl
from uclab.emulation.mininet.network import LabNet
from uclab.lab import inspection
from uclab.lab.bringup import FORESEEN, BringUpFailed, bring_up
from uclab.lab.circuit_exchanges import Exchanges, refusals
from uclab.lab.circuits import CircuitOrder
from uclab.lab.client import CallOrder, MessageOrder
from uclab.lab.disk_watch import watch_disks
from uclab.lab.errors import Refused, RefusedCircuit
from uclab.lab.events import EventLog
from uclab.lab.failures import Failures
from uclab.lab.lab_runtime import LabRuntime
from uclab.lab.line_changes import drive
from uclab.lab.messages import Messages
from uclab.lab.order_log import OrderLog, write_lab_end
from uclab.lab.placed_calls import PlacedCalls
from uclab.lab.registrations import Registrations
from uclab.lab.restarts import Restarts
from uclab.lab.router_programs import RouterPrograms
from uclab.plan.schema.plan import Plan
from uclab.records.run import BY_HAND, FAULT, CallRecord, MessageRecord
from uclab.records.scenario import ORDERS
from uclab.runtime.node import NotReady

__all__ = ["BringUpFailed", "Lab", "Refused"]

SHOWN = 200
"""Characters of a command that a run remembers."""

Phase = Literal["starting", "up", "failed", "going-down", "down"]


@dataclass(frozen=True)
class CommandPlace:
    """Where a command of the host's runs in a device."""

    namespace: str
    """Path of the network namespace, in the lab's mount namespace."""
    files: Mapping[str, str]
    """The device's own files, by where programs look for them."""


class Lab:
    """Owns everything of one lab; lives in the supervisor."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        run_dir: Path,
        *,
        capture: bool = True,
        outside: int | None = None,
    ) -> None:
        self.name = name
        self.plan = plan
        self.run_dir = run_dir
        self.events = EventLog(run_dir / "events.jsonl")
        self.orders = OrderLog(run_dir / ORDERS)
        self.phase: Phase = "starting"
        self._capture = capture
        self._restarts = Restarts(plan.policy.restarts, self.events, FORESEEN)
        self._watch = self._restarts.watch
        self._parts = LabRuntime(outside)
        self._timings: dict[str, float] = {}
        self._registrations = Registrations(plan, self._parts.phones)
        self._calls = PlacedCalls(plan, self._parts.phones, self._registrations, run_dir)
        self._messages = Messages(self._parts.phones, run_dir, plan.message_groups)
        self._failures = Failures(plan, self.events, self._registrations.path_changed)
        self._lines: LineControl | None = None

    async def up(self) -> None:
        """Bring everything up. Raises `BringUpFailed`; then `down` takes down what came up."""
        began = time.monotonic()
        self._calls.open()
        watching = watch_disks(self.run_dir, self.events)
        self._parts.tasks.append(asyncio.create_task(watching))
        for fault in self.plan.faults:
            self.events.add(fault, FAULT)
        try:
            await bring_up(self.plan, self.run_dir, self._parts, self._restarts, capture=self._capture)
        except BringUpFailed as failure:
            self.phase = "failed"
            self.events.add("lab", "failed", str(failure))
            raise
        self._timings = {**self._parts.timings, "up": round(time.monotonic() - began, 3)}
        self.phase = "up"
        self.events.add("lab", "up", json.dumps(self._timings))
        self._lines = LineControl(self.plan, self._network)
        driving = drive(self.plan.schedules, self._lines, self.events)
        self._parts.tasks.append(asyncio.create_task(driving))

    async def down(self) -> dict[str, Any]:
        """End what must end in order: calls, then captures. The rest goes with the process tree. Returns the
        timings."""
        if self.phase in ("going-down", "down"):
            return self._answer()
        began = time.monotonic()
        self.phase = "going-down"
        self.events.add("lab", "going-down")
        self._watch.expect_end()
        await self._restarts.close()
        await self._parts.stop()
        dropped = [f"{count.label} {count.dropped}" for count in self._parts.captured if count.dropped]
        packets = sum(count.captured for count in self._parts.captured)
        self.events.add(
            "lab", "captures-ended", f"{packets} packets; dropped: {', '.join(dropped) or 'none'}"
        )
        for reason in self._parts.cut_off:
            self.events.add("lab", "capture-cut-off", reason)
        await self._watch.close()
        self.phase = "down"
        self._timings["down"] = round(time.monotonic() - began, 3)
        self.events.add("lab", "down", json.dumps(self._timings))
        self.orders.close()
        await asyncio.to_thread(write_lab_end, self.run_dir)
        return self._answer()

    def state(self) -> dict[str, Any]:
        """What `uclab ls` shows."""
        return {
            "name": self.name,
            "topology": self.plan.topology,
            "phase": "degraded" if self.phase == "up" and self._watch.dead else self.phase,
            "run_dir": str(self.run_dir),
            "faults": list(self.plan.faults),
            "variants": self._parts.variants,
            "timings": self._timings,
            "endpoints": self._registrations.states(),
            "dead": list(self._watch.dead),
            "failed": sorted(self._failures.names),
            "calls": self._calls.count,
        }

    async def place(self, order: CallOrder) -> CallRecord:
        """Place a call and wait for its end; its record is in `calls.json` then. Raises `Refused` for parties
        there are not."""
        self._require_up()
        return await self._calls.place(order)

    async def send(self, order: MessageOrder) -> list[MessageRecord]:
        """Send text messages and wait for their answers. Raises `Refused` for parties there are not."""
        self._require_up()
        return await self._messages.send(order)

    async def set_bulk(self, action: str) -> None:
        """`start` or `stop` the plan's bulk traffic."""
        self._require_up()
        if self._parts.bulk is None or not self.plan.bulk:
            raise Refused(f"topology `{self.plan.topology}` has no bulk traffic")
        if action not in ("start", "stop"):
            raise Refused(f"bulk traffic can be `start`ed and `stop`ped, not `{action}`")
        try:
            await (self._parts.bulk.start() if action == "start" else self._parts.bulk.stop())
        except NotReady as error:
            raise Refused(str(error)) from error
        self.events.add("lab", f"bulk-{action}")

    async def fail(self, name: str, how: str = "cut", figures: Mapping[str, object] | None = None) -> str:
        """Cut a link, or all links of a node or switch; or make them black holes, or worse lines; or kill a
        router."""
        self._require_up()
        return await self._failures.fail(
            self._network, self._control, self._routers, name, how, figures or {}
        )

    async def heal(self, name: str) -> str:
        """Undo `fail`."""
        self._require_up()
        return await self._failures.heal(self._network, self._control, self._routers, name)

    async def circuits(self) -> dict[str, Any]:
        """The private circuits of the lab's exchanges, and who is plugged in where."""
        self._require_up()
        with refusals():
            present = await self._exchanges.list()
        return {
            exchange.name: {
                "ports": {port.customer: f"{port.switch}/{port.port}" for port in exchange.ports},
                "circuits": present[exchange.name],
            }
            for exchange in self.plan.circuit_exchanges
        }

    async def put_circuit(self, name: str, order: CircuitOrder, *, create: bool) -> dict[str, Any]:
        """Create or change a private circuit; returns it as it is then. Raises `Refused`."""
        self._require_up()
        began = time.monotonic()
        with refusals():
            circuit = await self._exchanges.put(name, order, create=create)
        return self._changed(name, "created" if create else "changed", began) | {"circuit": circuit}

    async def remove_circuit(self, name: str) -> dict[str, Any]:
        """Take a private circuit away. Raises `Refused`."""
        self._require_up()
        began = time.monotonic()
        with refusals():
            await self._exchanges.remove(name)
        return self._changed(name, "removed", began)

    def hand_in(self, node: str, command: str) -> CommandPlace:
        """Where somebody is about to run a command; the run remembers it."""
        place = CommandPlace(self.namespace_of(node), self._network.files_of(node))
        self.events.add(node, BY_HAND, textwrap.shorten(command, SHOWN))
        return place

    def namespace_of(self, node: str) -> str:
        """The path of a node's or switch engine's network namespace in the lab's mount namespace."""
        self._require_up()
        namespaces = self._network.namespaces
        where = next((switch.engine for switch in self.plan.switches if switch.name == node), node)
        if where not in namespaces:
            raise Refused(f"no node `{node}`; there are: {', '.join(sorted(namespaces))}")
        return str(namespaces[where].path)

    async def inspect(self, subject: str | None) -> dict[str, Any]:
        """The lab, or one device of it, in detail."""
        if subject is None:
            return self.state()
        self._require_up()
        dead = inspection.parts_of(subject, self._watch.dead, self.plan)
        try:
            seen = await inspection.inspect(subject, self.plan, self._network)
        except KeyError as error:
            raise Refused(str(error.args[0])) from None
        lines = [state.as_record() for state in self._control.states(subject)]
        if dead:
            seen = {"phase": "degraded", "dead": list(dead), **seen}
        return {**seen, "lines": lines} if lines else seen

    async def overlays(self) -> dict[str, Any]:
        """The SD-WAN by site: paths with their figures, and the path of each class."""
        self._require_up()
        if self._parts.overlays is None:
            raise Refused(f"topology `{self.plan.topology}` has no SD-WAN: no site has `sd_wan`")
        try:
            return await self._parts.overlays.state()
        except httpx.TransportError as error:
            raise Refused(f"the SD-WAN's controller does not answer: {error}") from error

    def _changed(self, name: str, done: str, began: float) -> dict[str, Any]:
        took_ms = round(1000 * (time.monotonic() - began), 1)
        self.events.add(name, f"circuit-{done}-on-purpose", f"acknowledged by every switch in {took_ms} ms")
        return {"name": name, "done": done, "took_ms": took_ms}

    @property
    def _exchanges(self) -> Exchanges:
        """The exchanges of a lab that is up."""
        if self._parts.exchanges is None or not self.plan.circuit_exchanges:
            raise RefusedCircuit(
                f"topology `{self.plan.topology}` has no exchange; give it a carrier of kind `sdn`"
            )
        return self._parts.exchanges

    @property
    def _network(self) -> LabNet:
        """The network of a lab that is up."""
        if self._parts.network is None:
            raise Refused(f"lab `{self.name}` has no network: it is {self.phase}")
        return self._parts.network

    @property
    def _control(self) -> LineControl:
        """The lines of a lab that is up."""
        if self._lines is None:
            raise Refused(f"lab `{self.name}` has no lines: it is {self.phase}")
        return self._lines

    @property
    def _routers(self) -> RouterPrograms:
        """The routers' programs of a lab that is up."""
        if self._parts.routers is None:
            raise Refused(f"lab `{self.name}` has no routers: it is {self.phase}")
        return self._parts.routers

    def _answer(self) -> dict[str, Any]:
        return {**self._timings, "run_dir": str(self.run_dir)}

    def _require_up(self) -> None:
        if self.phase != "up":
            raise Refused(f"lab `{self.name}` is {self.phase}, not up")
