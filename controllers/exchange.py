"""The controller of an exchange's switches, an os-ken application in a process of its own (W5).

`python -m controllers.exchange --fabric FABRIC.json --listen unix:PATH --api PATH --events EVENTS.jsonl`

FABRIC.json is a `SiteFabric` as `uclab.plan.schema.codec` writes it. It starts without circuits.
`exchange-ready` in the events file says that every switch has acknowledged its whole table. Ends cleanly on
SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from os_ken import cfg
from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3 as ofp

from controllers import openflow
from controllers.circuit_api import SwitchesSilent, make_api
from controllers.circuits import Circuit, Exchange
from controllers.connections import Handshakes, Listener
from controllers.flows import difference
from controllers.session import Session
from uclab.access.local_socket import listening_private
from uclab.plan.lan.spanning_trees import FabricError
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import SiteFabric
from uclab.records.run import Event

ANSWER_DEADLINE_S = 2.0
"""So long may switches take for a change before it is taken back."""


class ExchangeApp(OSKenApp):
    """Carries circuits to the switches. os-ken's one thread and the API's threads meet at one lock."""

    OFP_VERSIONS = (ofp.OFP_VERSION,)

    def __init__(self, fabric: SiteFabric, events: TextIO) -> None:
        super().__init__()
        self._exchange = Exchange(fabric)
        self._tables = self._exchange.tables()
        self._names = {s.dpid: s.name for s in fabric.switches if s.controlled}
        self._events = events
        self._generations = itertools.count(random.getrandbits(openflow.GENERATION_BITS))
        self._sessions: dict[int, Session] = {}
        self._refused: dict[int, str] = {}
        self._ready = False
        self._changed = threading.Condition()
        self._one_change = threading.Lock()

    def read(self) -> dict[str, Circuit]:
        """The circuits by name."""
        with self._changed:
            return dict(self._exchange.circuits)

    def put(self, circuit: Circuit) -> bool:
        """Create (True) or change a circuit. Raises `CircuitRefused`, `SwitchesSilent`."""
        with self._one_change, self._changed:
            before = self._exchange.circuits.get(circuit.name)
            self._exchange.put(circuit)
            try:
                self._lead_switches()
            except SwitchesSilent:
                if before is None:
                    self._exchange.remove(circuit.name)
                else:
                    self._exchange.put(before)
                self._send_tables()
                raise
            self._write(circuit.name, "circuit-created" if before is None else "circuit-changed")
            return before is None

    def remove(self, name: str) -> None:
        """Remove a circuit. Raises `KeyError`, `SwitchesSilent`."""
        with self._one_change, self._changed:
            before = self._exchange.circuits[name]
            self._exchange.remove(name)
            try:
                self._lead_switches()
            except SwitchesSilent:
                self._exchange.put(before)
                self._send_tables()
                raise
            self._write(name, "circuit-removed")

    def _lead_switches(self) -> None:
        away = [name for dpid, name in self._names.items() if dpid not in self._sessions]
        if away:
            raise SwitchesSilent(f"not connected: {', '.join(away)}; try again when they are")
        self._refused.clear()
        self._send_tables()
        if not self._changed.wait_for(lambda: self._refused or self._acknowledged(), ANSWER_DEADLINE_S):
            waiting = [name for dpid, name in self._names.items() if not self._has_done(dpid)]
            raise SwitchesSilent(f"no answer in {ANSWER_DEADLINE_S} s from {', '.join(waiting)}")
        if self._refused:
            raise SwitchesSilent("; ".join(f"{self._names[d]}: {what}" for d, what in self._refused.items()))

    def _send_tables(self) -> None:
        new = self._exchange.tables()
        for dpid, table in new.items():
            change = difference(self._tables[dpid], table)
            if change.size and (session := self._sessions.get(dpid)) is not None:
                session.send(openflow.change_messages(change, session.generation))
        self._tables = new

    def _has_done(self, dpid: int) -> bool:
        return dpid in self._sessions and self._sessions[dpid].pending is None

    def _acknowledged(self) -> bool:
        return all(map(self._has_done, self._names))

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_changed(self, event: Any) -> None:
        """A switch has finished its handshake, and gets its whole table; or it has gone."""
        connection = event.datapath
        with self._changed:
            if event.state == MAIN_DISPATCHER:
                self._connected(connection)
            elif self._session(connection) is not None:
                del self._sessions[connection.id]
                self._write(self._names[connection.id], "switch-disconnected", "its tables stay in force")
            self._changed.notify_all()

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def barrier_passed(self, event: Any) -> None:
        """A switch has done what it was told."""
        with self._changed:
            session = self._session(event.msg.datapath)
            if session is None or session.pending != event.msg.xid:
                return
            session.acknowledged()
            if not self._ready and not self._refused and self._acknowledged():
                self._ready = True
                self._write("exchange", "exchange-ready")
            self._changed.notify_all()

    @set_ev_cls(ofp_event.EventOFPErrorMsg, MAIN_DISPATCHER)
    def refused(self, event: Any) -> None:
        """A switch refuses a message."""
        message = event.msg
        with self._changed:
            session = self._session(message.datapath)
            if session is None or openflow.is_harmless(message.type, message.code):
                return
            about = session.sent.get(message.xid, "a message")
            what = f"error type {message.type} code {message.code} for {about}"
            self._refused[message.datapath.id] = what
            self._write(self._names[message.datapath.id], "flow-rejected", what)
            self._changed.notify_all()

    def _connected(self, connection: Any) -> None:
        dpid = connection.id
        if dpid not in self._names:
            self._write(f"{dpid:#x}", "unknown-switch", "not of this exchange")
            connection.close()
            return
        generation = next(self._generations) % (1 << openflow.GENERATION_BITS)
        session = self._sessions[dpid] = Session(connection, generation)
        self._write(self._names[dpid], "switch-connected", f"dpid {dpid:#x}")
        session.send(openflow.table_messages(self._tables[dpid], generation))

    def _session(self, connection: Any) -> Session | None:
        session = self._sessions.get(connection.id)
        return session if session is not None and session.connection is connection else None

    def _write(self, subject: str, kind: str, detail: str = "") -> None:
        self._events.write(json.dumps(asdict(Event(time.time(), subject, kind, detail))) + "\n")


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Exit status 2 where the fabric or an argument is wrong."""
    parser = argparse.ArgumentParser(prog="controllers.exchange", description=__doc__.partition("\n")[0])
    parser.add_argument("--fabric", type=Path, required=True, help="SiteFabric as JSON")
    parser.add_argument("--listen", required=True, help="for switches: unix:PATH or tcp:ADDRESS:PORT")
    parser.add_argument("--api", type=Path, required=True, help="UNIX socket of the HTTP API")
    parser.add_argument("--events", type=Path, required=True, help="file to append events to, JSON lines")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        fabric = from_data(SiteFabric, json.loads(options.fabric.read_text(encoding="utf-8")))
        with options.events.open("a", encoding="utf-8", buffering=1) as events:
            run(fabric, options.listen, options.api, events, signals)
    except (FabricError, ValueError, OSError) as error:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def run(fabric: SiteFabric, listen: str, api: Path, events: TextIO, until: Iterable[signal.Signals]) -> None:
    """Serve switches and the API until one of the (blocked) signals comes."""
    cfg.CONF([], project="uclab", default_config_files=[])
    applications = AppManager.get_instance()
    handshakes = applications.instantiate(Handshakes)
    application = applications.instantiate(ExchangeApp, fabric, events)
    for app in (handshakes, application):
        app.start()
    listener = Listener(listen)
    server = _Server(uvicorn.Config(make_api(application), log_level="warning", lifespan="off"))
    serving = threading.Thread(target=server.run, args=([listening_private(api)],), name="api")
    serving.start()
    try:
        signal.sigwait(until)
    finally:
        server.should_exit = True
        serving.join()
        listener.close()
        for app in (handshakes, application):
            app.stop()


if __name__ == "__main__":
    sys.exit(main())
