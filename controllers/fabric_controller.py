"""What the controller does when: news of switches in, orders and reports out. No sockets, no threads.

All switches first get the same compiled fabric; when trunks fail or return, the fabric is led to new trees
stage by stage (`controllers.transition`). While a switch is away, nothing is changed: the others' bypasses
carry on, and a fabric of old and new trees could loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controllers.fabric import CompiledFabric, Tables, compile_fabric
from controllers.flows import Change, FlowTable, difference
from controllers.transition import transition
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.schema.plan import SiteFabric
from uclab.records.run import Event


@dataclass(frozen=True)
class Replace:
    """Give the switch this table, whatever it held, without a moment in which it holds less."""

    dpid: int
    table: FlowTable


@dataclass(frozen=True)
class Update:
    """Change the switch's table. To be acknowledged, like a `Replace`, by `FabricController.acknowledged`."""

    dpid: int
    change: Change


Order = Replace | Update | Event


class FabricController:
    """State of one site's switches. Every method returns what is to be done next, in order."""

    def __init__(self, fabric: SiteFabric, clock: Callable[[], float] = time.time) -> None:
        self._fabric = fabric
        self._clock = clock
        self._names = {switch.dpid: switch.name for switch in fabric.switches if switch.controlled}
        self._compiled = compile_fabric(fabric)
        self._ports = {PortRef(s.name, port.number) for s in fabric.switches for port in s.ports}
        self._present: Tables = self._compiled.tables
        self._stages: list[Tables] = []
        self._connected: set[int] = set()
        self._pending: set[int] = set()
        self._refusing: set[int] = set()
        self._ports_down: set[PortRef] = set()
        self._converging_since: float | None = None
        self._ready = False

    @property
    def compiled(self) -> CompiledFabric:
        """The fabric that the switches hold, or are being led to."""
        return self._compiled

    def name(self, dpid: int) -> str | None:
        """The switch's name; None where it is not of this site."""
        return self._names.get(dpid)

    def connected(self, dpid: int, live_ports: Iterable[int]) -> list[Order]:
        """A switch of this site has introduced itself with those ports live. It gets everything again."""
        name = self._names[dpid]
        self._connected.add(dpid)
        self._pending.add(dpid)
        self._converging_since = self._converging_since or self._clock()
        self._refusing.discard(dpid)
        live = set(live_ports)
        switch = self._compiled.layout.switches[name]
        orders: list[Order] = [self._event(name, "switch-connected", f"dpid {dpid:#x}")]
        for port in switch.ports:
            orders += self._port(PortRef(name, port.number), port.number in live)
        return [*orders, Replace(dpid, self._present[dpid])]

    def disconnected(self, dpid: int) -> list[Order]:
        """A switch's control connection has ended; its tables stay in force."""
        if dpid not in self._connected:
            return []
        self._connected.discard(dpid)
        return [self._event(self._names[dpid], "switch-disconnected", "its tables stay in force")]

    def port_changed(self, dpid: int, port: int, live: bool) -> list[Order]:
        """A port has gained or lost its link. Ports that the plan does not know are ignored."""
        reference = PortRef(self._names[dpid], port)
        orders = self._port(reference, live) if reference in self._ports else []
        return orders + self._advance()

    def acknowledged(self, dpid: int) -> list[Order]:
        """A switch has carried out the last `Replace` or `Update`."""
        self._pending -= {dpid} - self._refusing
        return self._advance()

    def rejected(self, dpid: int, what: str) -> list[Order]:
        """A switch refuses a part of its table, so the fabric is not called ready. Only the first is told."""
        self._pending.add(dpid)
        if dpid in self._refusing:
            return []
        self._refusing.add(dpid)
        return [self._event(self._names[dpid], "flow-rejected", what)]

    def _port(self, port: PortRef, live: bool) -> list[Order]:
        if live == (port not in self._ports_down):
            return []
        (self._ports_down.discard if live else self._ports_down.add)(port)
        return [self._event(str(port), "link-up" if live else "link-down")]

    def _advance(self) -> list[Order]:
        if self._pending or self._connected != set(self._names):
            return []
        while True:
            if not self._stages:
                down = self._trunks_down()
                if down == self._compiled.ports_down:
                    return self._converged()
                new = compile_fabric(self._fabric, down, self._compiled.bypasses)
                self._stages = list(transition(self._compiled, new))
                self._compiled = new
                self._converging_since = self._converging_since or self._clock()
                continue
            stage = self._stages.pop(0)
            changed = [dpid for dpid, table in stage.items() if table != self._present[dpid]]
            orders: list[Order] = [
                Update(dpid, difference(self._present[dpid], stage[dpid])) for dpid in changed
            ]
            self._present = stage
            self._pending = set(changed)
            if orders:
                return orders

    def _trunks_down(self) -> frozenset[PortRef]:
        """The first end of each trunk that has an end down: the second end's news changes nothing."""
        trunks = self._compiled.layout.trunks
        return frozenset(t.a for t in trunks if not self._ports_down.isdisjoint((t.a, t.b)))

    def _converged(self) -> list[Order]:
        if self._converging_since is None:
            return []
        took_ms = (self._clock() - self._converging_since) * 1000
        self._converging_since = None
        unprotected = self._compiled.unprotected
        detail = f"{len(self._names)} switches, {took_ms:.0f} ms"
        if unprotected:
            detail += f", no bypass for {', '.join(unprotected)}"
        kind = "fabric-converged" if self._ready else "fabric-ready"
        self._ready = True
        return [self._event(self._fabric.site, kind, detail)]

    def _event(self, source: str, kind: str, detail: str = "") -> Event:
        return Event(self._clock(), source, kind, detail)
